"""What frameworks need to be traced with one line. Each module imports its framework, and nobody imports them all."""

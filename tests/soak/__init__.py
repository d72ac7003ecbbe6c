"""The soak: real bots, workers and servers under random faults, and at the end the account of every single event."""

"""Stand-ins for the services that the bot talks to: real HTTP servers on loopback, so that nothing is paid or sent."""

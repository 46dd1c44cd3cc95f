"""Settings of the commands, with their defaults and checks."""

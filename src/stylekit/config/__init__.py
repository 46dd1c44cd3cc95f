"""The settings of all commands, with their defaults and checks."""

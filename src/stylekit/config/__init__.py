"""Define and check the settings of all commands."""

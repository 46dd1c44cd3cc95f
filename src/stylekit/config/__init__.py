"""The commands' settings: every default and every check, once."""

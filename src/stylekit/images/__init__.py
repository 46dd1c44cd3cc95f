"""Images between files and arrays."""

"""Image files, their metadata, and pixel arrays."""

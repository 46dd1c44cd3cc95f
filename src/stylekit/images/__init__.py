"""Image files, their metadata, and arrays of pixels."""

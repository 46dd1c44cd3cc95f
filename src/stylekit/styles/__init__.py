"""Read, write, find, import and download style files."""

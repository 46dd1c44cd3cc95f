"""Style files, where they are kept, and where they come from."""

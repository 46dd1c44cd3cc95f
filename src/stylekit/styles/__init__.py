"""Style files: their format, where they are stored, and the catalogs and programs they come from."""

"""Style files: their format, the folders they are in, and the catalogs and programs they come from."""

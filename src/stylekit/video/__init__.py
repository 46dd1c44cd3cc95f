"""Videos and animations: read, painted frame by frame, and written."""

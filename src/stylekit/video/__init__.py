"""Videos and animations between files and frames, and a style applied to them."""

"""One image by optimization (Gatys et al. 2015)."""

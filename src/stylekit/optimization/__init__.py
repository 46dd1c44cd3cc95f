"""Style transfer by optimization of a single image (Gatys et al. 2015)."""

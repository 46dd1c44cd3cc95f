"""Perceptual losses, and the loss networks behind them (Gatys et al. 2015, Johnson et al. 2016)."""

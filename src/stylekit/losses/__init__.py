"""Perceptual losses and the loss networks that they compare images by."""

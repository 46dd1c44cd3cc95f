"""Training of a transformer network on one painting (Johnson et al. 2016)."""

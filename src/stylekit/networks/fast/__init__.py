"""The network `fast`: nearly all work at a quarter of the resolution."""

"""The transformer networks: a folder and an `Architecture` each. `(B, 3, H, W)` in and out, RGB in [0, 1]."""

from stylekit.networks.architecture import Architecture, architecture, architectures, register
from stylekit.networks.fast import FAST
from stylekit.networks.johnson import JOHNSON

__all__ = ["Architecture", "architecture", "architectures", "register"]

register(FAST)
register(JOHNSON)

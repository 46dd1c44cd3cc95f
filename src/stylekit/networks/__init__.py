"""Define the transformer networks. Each network has a folder and an `Architecture`."""

from stylekit.networks.architecture import Architecture, architecture, architectures, register
from stylekit.networks.fast import FAST
from stylekit.networks.johnson import JOHNSON
from stylekit.networks.unet import UNET

__all__ = ["Architecture", "architecture", "architectures", "register"]

register(FAST)
register(JOHNSON)
register(UNET)

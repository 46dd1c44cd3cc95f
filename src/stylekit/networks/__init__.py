"""The transformer networks, one folder and one `Architecture` each."""

from stylekit.networks.architecture import Architecture, architecture, architectures, register
from stylekit.networks.fast import FAST
from stylekit.networks.johnson import JOHNSON
from stylekit.networks.unet import UNET

__all__ = ["Architecture", "architecture", "architectures", "register"]

register(FAST)
register(JOHNSON)
register(UNET)

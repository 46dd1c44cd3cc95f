"""The network `unet`: U-shaped, with levels at 1/4, 1/8 and 1/16 of the resolution."""

from typing import TYPE_CHECKING

from stylekit.networks.architecture import Architecture
from stylekit.networks.fast.facts import bytes_per_pixel
from stylekit.networks.shapes import Shape
from stylekit.networks.unet.facts import BODY_BORDER, CELL, unet_radius, unet_shapes

if TYPE_CHECKING:
    from torch import nn

    from stylekit.networks.onnx_layers import OnnxGraph


class _UNet(Architecture):
    name = "unet"
    defaults = {  # noqa: RUF012
        "channels": 64,
        "eighth_channels": 80,
        "sixteenth_channels": 112,
        "sixteenth_blocks": 4,
        "half_channels": 32,
        "full_channels": 16,
    }
    side_multiple = CELL

    def grid(self, cells: int, side: int) -> tuple[int, int]:
        """See `Architecture`; here, the border has the same width in pixels at each level of the body."""
        cell = (-(-side // CELL) * CELL + 2 * BODY_BORDER) // cells
        return cell, BODY_BORDER // cell

    def _shapes(self, **settings: int) -> dict[str, Shape]:
        return unet_shapes(**settings)

    def _receptive_radius(self, **settings: int) -> int:
        return unet_radius(settings["sixteenth_blocks"])

    def _bytes_per_pixel(self, **settings: int) -> int:
        return bytes_per_pixel(settings["channels"], settings["full_channels"])

    def _module(self, **settings: int) -> "nn.Module":
        from stylekit.networks.unet.module import UNet

        return UNet(**settings)

    def _add_layers(self, graph: "OnnxGraph", **settings: int) -> None:
        from stylekit.networks.unet.graph import add_unet

        names = ("channels", "sixteenth_blocks", "half_channels", "full_channels")
        add_unet(graph, **{name: settings[name] for name in names})


UNET = _UNet()

"""The network `fast`, which does most of its work at a quarter of the resolution."""

from typing import TYPE_CHECKING

from stylekit.networks.architecture import Architecture
from stylekit.networks.fast.facts import FAST_BORDER_REST, bytes_per_pixel, fast_border, fast_shapes
from stylekit.networks.shapes import MIN_SIDE, SIDE_MULTIPLE, Shape

if TYPE_CHECKING:
    from torch import nn

    from stylekit.networks.onnx_layers import OnnxGraph


class _Fast(Architecture):
    name = "fast"
    defaults = {"channels": 64, "blocks": 3, "half_channels": 32, "full_channels": 16}  # noqa: RUF012

    def _shapes(self, **settings: int) -> dict[str, Shape]:
        return fast_shapes(**settings)

    def _receptive_radius(self, **settings: int) -> int:
        return fast_border(settings["blocks"]) - FAST_BORDER_REST

    def _bytes_per_pixel(self, **settings: int) -> int:
        return bytes_per_pixel(settings["channels"], settings["full_channels"])

    def _module(self, **settings: int) -> "nn.Module":
        from stylekit.networks.fast.module import Fast

        return Fast(**settings)

    def _add_layers(self, graph: "OnnxGraph", **settings: int) -> None:
        from stylekit.networks.fast.graph import add_fast

        add_fast(graph, **settings)

    def grid(self, cells: int, side: int) -> tuple[int, int]:
        """See `Architecture`; here, convolutions have already consumed some of the border of the features."""
        padded = max(-(-side // SIDE_MULTIPLE) * SIDE_MULTIPLE, MIN_SIDE)
        return SIDE_MULTIPLE, (cells - padded // SIDE_MULTIPLE) // 2


FAST = _Fast()

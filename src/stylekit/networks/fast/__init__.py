"""The network `fast`: nearly all work at a quarter of the resolution."""

from typing import TYPE_CHECKING

from stylekit.networks.architecture import Architecture
from stylekit.networks.fast.facts import FAST_BORDER_REST, fast_border, fast_shapes
from stylekit.networks.shapes import SIDE_MULTIPLE, Shape

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
        # Measured: 180 to 215. Six copies of the photo or the result, the last features twice, the body's once.
        return 6 * 3 * 4 + 2 * 4 * settings["full_channels"] + 4 * settings["channels"] // 16

    def _module(self, **settings: int) -> "nn.Module":
        from stylekit.networks.fast.module import Fast

        return Fast(**settings)

    def _add_layers(self, graph: "OnnxGraph", **settings: int) -> None:
        from stylekit.networks.fast.graph import add_fast

        add_fast(graph, **settings)

    def cell_side(self, cells: int, side: int) -> int:
        return SIDE_MULTIPLE  # its features also have the cells of the border that no convolution has eaten yet


FAST = _Fast()

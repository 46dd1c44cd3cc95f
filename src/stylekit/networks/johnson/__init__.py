"""The network `johnson`: the image transformation network of Johnson et al. 2016."""

from typing import TYPE_CHECKING

from stylekit.networks.architecture import Architecture
from stylekit.networks.johnson.facts import JOHNSON_ONNX_OPERATIONS, johnson_shapes
from stylekit.networks.shapes import Shape

if TYPE_CHECKING:
    from torch import nn

    from stylekit.networks.onnx_layers import OnnxGraph


class _Johnson(Architecture):
    name = "johnson"
    onnx_operations = JOHNSON_ONNX_OPERATIONS

    def _shapes(self, **settings: int) -> dict[str, Shape]:
        return johnson_shapes()

    def _receptive_radius(self, **settings: int) -> int:
        quarter, half, full = 5 * 2, 1 + 1, 4 + 1 + 1 + 4  # sums of the kernels' radii at each resolution
        return 4 * quarter + 2 * half + full

    def _bytes_per_pixel(self, **settings: int) -> int:
        return 500  # a CPU takes 370 to 460, for four tensors of 32 channels; a GPU needs eight, of half the size

    def _module(self, **settings: int) -> "nn.Module":
        from stylekit.networks.johnson.module import Johnson

        return Johnson()

    def _add_layers(self, graph: "OnnxGraph", **settings: int) -> None:
        from stylekit.networks.johnson.graph import add_johnson

        add_johnson(graph)


JOHNSON = _Johnson()

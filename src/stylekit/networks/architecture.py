"""The interface of transformer networks, usable without torch, and their registry."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from stylekit.errors import ConfigError
from stylekit.networks.shapes import LEAST_SIDE, SIDE_MULTIPLE, TILE_MULTIPLE, NormStatistics, Shape

if TYPE_CHECKING:
    import numpy as np
    import onnx
    from numpy.typing import NDArray
    from torch import nn

    from stylekit.networks.onnx_layers import OnnxGraph

Config = Mapping[str, Any]
_LARGEST_SETTING = 1024


class Architecture(ABC):
    """A transformer network: `(B, 3, H, W)` in, the same shape out, RGB in [0, 1].

    To add a network, add a folder with a subclass and a call of `register`. Public methods take a `config`, the
    settings that differ from `defaults`, and raise `ConfigError` if one of them is unknown or out of range. They hand
    the settings, defaults filled in, to the methods that a subclass implements.

    Attributes:
        name: Its name in style files.
        defaults: The defaults of its settings, which are integers from 1 to 1,024.
        side_multiple: The number to whose multiples the network pads an image's height and width.
        onnx_operations: The operations of ONNX graphs of it that other programs publish, with how many a graph has;
            None for any number. Empty if none are published.
    """

    name: ClassVar[str]
    defaults: ClassVar[Mapping[str, int]] = {}
    side_multiple: ClassVar[int] = SIDE_MULTIPLE
    onnx_operations: ClassVar[Mapping[str, int | None]] = {}

    @abstractmethod
    def _shapes(self, **settings: int) -> dict[str, Shape]:
        """Return parameter shapes by name, with normalizations in the order in which they run."""

    @abstractmethod
    def _receptive_radius(self, **settings: int) -> int:
        """Return how far, in pixels, a pixel of the photo influences the result, normalizations aside."""

    @abstractmethod
    def _bytes_per_pixel(self, **settings: int) -> int:
        """Return about how many bytes of memory a pixel takes while the network runs in float32."""

    @abstractmethod
    def _module(self, **settings: int) -> "nn.Module":
        """Return the network as a torch module with random weights."""

    @abstractmethod
    def _add_layers(self, graph: "OnnxGraph", **settings: int) -> None:
        """Add the network's nodes to an ONNX graph, from the tensor `photo` to the tensor `picture`."""

    def grid(self, cells: int, side: int) -> tuple[int, int]:
        """Return how features before a normalization relate to a tile's pixels, along one axis.

        Args:
            cells: Rows of the features.
            side: Rows of the tile.

        Returns:
            Rows of pixels that a row of features stands for, and rows of features at each end that stand for the
            border that the network has put around the tile.
        """
        padded = max(-(-side // self.side_multiple) * self.side_multiple, LEAST_SIDE)
        cell = max(1, padded // cells)
        return cell, (cells - padded // cell) // 2

    def complete(self, config: Config) -> dict[str, int]:
        """Return all of the network's settings, defaults filled in.

        Raises:
            ConfigError: If a setting is unknown or out of range.
        """
        for key, value in config.items():
            if key not in self.defaults:
                raise ConfigError(f"The network {self.name!r} has no setting {key!r}.")
            if type(value) is not int or not 1 <= value <= _LARGEST_SETTING:
                raise ConfigError(f"The network setting {key} must be a whole number from 1 to {_LARGEST_SETTING}.")
        return {**self.defaults, **config}

    def parameter_shapes(self, config: Config) -> dict[str, Shape]:
        """Return the shapes of the network's parameters by name."""
        return self._shapes(**self.complete(config))

    def norm_names(self, config: Config) -> tuple[str, ...]:
        """Return the names of the network's normalizations in the order in which they run."""
        shapes = self.parameter_shapes(config)
        weights = (name for name, shape in shapes.items() if name.endswith(".weight") and len(shape) == 1)
        return tuple(name.removesuffix(".weight") for name in weights)

    def receptive_radius(self, config: Config) -> int:
        """Return how far, in pixels, a pixel of the photo influences the result, normalizations aside.

        A multiple of `TILE_MULTIPLE`, rounded up: a pixel may be anywhere in its cell.
        """
        radius = self._receptive_radius(**self.complete(config)) + self.side_multiple - 1
        return -(-radius // TILE_MULTIPLE) * TILE_MULTIPLE

    def bytes_per_pixel(self, config: Config) -> int:
        """Return about how many bytes of memory a pixel takes while the network runs in float32."""
        return self._bytes_per_pixel(**self.complete(config))

    def build(self, config: Config = MappingProxyType({})) -> "nn.Module":
        """Return the network as a torch module with random weights."""
        return self._module(**self.complete(config))

    def load(self, config: Config, weights: "Mapping[str, NDArray[np.floating[Any]]]") -> "nn.Module":
        """Return the network as a torch module with these weights by name, in float32."""
        import torch

        network = self.build(config)
        tensors = {name: torch.from_numpy(array.astype("float32")) for name, array in weights.items()}
        network.load_state_dict(tensors, assign=True)
        return network

    def onnx_model(
        self,
        config: Config,
        weights: "Mapping[str, NDArray[Any]]",
        norms: Sequence[NormStatistics] | None = None,
        *,
        smooths: bool = False,
    ) -> "onnx.ModelProto":
        """Return the network as an ONNX graph, from `photo` to `picture`: `(B, 3, H, W)`, RGB in [0, 1], any size.

        Args:
            config: The settings that differ from `defaults`.
            weights: The parameters by name.
            norms: Means and variances for the normalizations, in their order, to use in place of the image's own. If
                they are fewer than the normalizations, the graph ends before the first normalization without, and its
                output is `features`.
            smooths: Whether the graph smooths the statistics of a video's frames, given one at a time: for each
                normalization, it also takes the previous frame's mean and variance, `last_N` `(2, C, 1, 1)`, and their
                share in those to use now, `share`, and returns the latter as `used_N`.

        Raises:
            ConfigError: If a setting is unknown or out of range.
        """
        from stylekit.networks.onnx_layers import OnnxGraph, OutOfStatistics

        graph = OnnxGraph(weights, norms, smooths)
        try:
            self._add_layers(graph, **self.complete(config))
        except OutOfStatistics as end:
            return graph.model(graph.node("Identity", end.x, output="features"))
        return graph.model("picture")


_REGISTERED: dict[str, Architecture] = {}


def register(network: Architecture) -> Architecture:
    """Add a network to those that style files, training and engines know by name, and return it."""
    _REGISTERED[network.name] = network
    return network


def architecture(name: str) -> Architecture:
    """Return the network with this name.

    Raises:
        ConfigError: If no network has this name.
    """
    if name not in _REGISTERED:
        raise ConfigError(f"Unknown network {name!r}.", f"Available: {', '.join(_REGISTERED)}.")
    return _REGISTERED[name]


def architectures() -> tuple[Architecture, ...]:
    """Return all networks, in the order in which they were registered."""
    return tuple(_REGISTERED.values())

"""Define the interface and the registry of transformer networks, without importing torch."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from stylekit.errors import ConfigError
from stylekit.networks.shapes import MIN_SIDE, SIDE_MULTIPLE, TILE_MULTIPLE, NormStatistics, Shape

if TYPE_CHECKING:
    import numpy as np
    import onnx
    from numpy.typing import NDArray
    from torch import nn

    from stylekit.networks.onnx_layers import OnnxGraph

Config = Mapping[str, Any]
_LARGEST_SETTING = 1024


class Architecture(ABC):
    """A transformer network, which maps images `(B, 3, H, W)`, RGB in [0, 1], to stylized images of the same shape.

    To add a network, add a folder with a subclass, and call `register` with an instance of the subclass. Public
    methods take a `config`, the settings that differ from `defaults`, and raise `ConfigError` if a setting is unknown
    or out of range. They fill in the defaults and pass all settings to the methods that a subclass implements.

    Attributes:
        name: The network's name in style files.
        defaults: The default settings by name, all integers from 1 to 1,024.
        side_multiple: The network pads an image's height and width to multiples of this number.
        onnx_operations: For ONNX graphs of the network that other programs publish: the operations in a graph, each
            with its number, or None if the number varies. Empty if no such graphs are known.
    """

    name: ClassVar[str]
    defaults: ClassVar[Mapping[str, int]] = {}
    side_multiple: ClassVar[int] = SIDE_MULTIPLE
    onnx_operations: ClassVar[Mapping[str, int | None]] = {}

    @abstractmethod
    def _shapes(self, **settings: int) -> dict[str, Shape]:
        """Return parameter shapes by name, in the order in which the normalizations run."""

    @abstractmethod
    def _receptive_radius(self, **settings: int) -> int:
        """Return how far in pixels a pixel of the photo influences the result, other than through normalizations."""

    @abstractmethod
    def _bytes_per_pixel(self, **settings: int) -> int:
        """Return roughly how many bytes of memory the network needs for each pixel when it runs in float32."""

    @abstractmethod
    def _module(self, **settings: int) -> "nn.Module":
        """Return the network as a torch module with random weights."""

    @abstractmethod
    def _add_layers(self, graph: "OnnxGraph", **settings: int) -> None:
        """Add the network's nodes to an ONNX graph, from the tensor `photo` to the tensor `picture`."""

    def grid(self, cells: int, side: int) -> tuple[int, int]:
        """Return how the features before a normalization correspond to a tile's pixels, along one axis.

        Args:
            cells: The number of rows of features.
            side: The number of rows of pixels in the tile.

        Returns:
            The number of rows of pixels for each row of features, and the number of rows of features at each end that
            belong to the border that the network added around the tile.
        """
        padded = max(-(-side // self.side_multiple) * self.side_multiple, MIN_SIDE)
        cell = max(1, padded // cells)
        return cell, (cells - padded // cell) // 2

    def complete(self, config: Config) -> dict[str, int]:
        """Return all settings of the network, with defaults filled in.

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
        """Return how far in pixels a pixel of the photo influences the result, other than through normalizations.

        The distance holds for any position of the pixel within a cell, and is rounded up to a multiple of
        `TILE_MULTIPLE`.
        """
        radius = self._receptive_radius(**self.complete(config)) + self.side_multiple - 1
        return -(-radius // TILE_MULTIPLE) * TILE_MULTIPLE

    def bytes_per_pixel(self, config: Config) -> int:
        """Return roughly how many bytes of memory the network needs for each pixel when it runs in float32."""
        return self._bytes_per_pixel(**self.complete(config))

    def build(self, config: Config = MappingProxyType({})) -> "nn.Module":
        """Return the network as a torch module with random weights."""
        return self._module(**self.complete(config))

    def load(self, config: Config, weights: "Mapping[str, NDArray[np.floating[Any]]]") -> "nn.Module":
        """Return the network as a torch module with the given weights, converted to float32."""
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
        """Return the network as an ONNX graph.

        Both its input `photo` and its output `picture` are `(B, 3, H, W)`, RGB in [0, 1], of any size.

        Args:
            config: The settings that differ from `defaults`.
            weights: The parameters by name.
            norms: Means and variances for the normalizations, in order, to use instead of those of the image. If there
                are fewer statistics than normalizations, the graph ends before the first normalization without
                statistics, and outputs the input of that normalization as `features`.
            smooths: Whether the graph smooths the statistics over the frames of a video. If so, normalization N uses a
                mixture of the current frame's mean and variance and those used for the previous frame. The graph takes
                the previous statistics as `last_N` `(2, C, 1, 1)` and their weight as the scalar `share`, and returns
                the mixture as `used_N`.

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
    """Make a network available by name in style files, training and engines, and return the network."""
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

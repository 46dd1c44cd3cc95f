"""What every transformer network tells of itself, without torch; and which networks there are."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from stylekit.errors import ConfigError
from stylekit.networks.shapes import LEAST_SIDE, SIDE_MULTIPLE, Shape, Statistics

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

    A network is one folder with one subclass of this, and one call of `register`. Methods that take a `config` take
    the settings that differ from `defaults`, and raise `ConfigError` if one of them is unknown or out of range.

    Attributes:
        name: What style files call it.
        defaults: Its settings, whole numbers from 1 to 1,024, with their defaults.
        is_published_as_onnx: Whether other programs publish ONNX graphs of it, with names of their own.
    """

    name: ClassVar[str]
    defaults: ClassVar[Mapping[str, int]] = {}
    is_published_as_onnx: ClassVar[bool] = False

    @abstractmethod
    def _shapes(self, **settings: int) -> dict[str, Shape]:
        """Return the shape of each parameter by name; normalizations in the order in which they run."""

    @abstractmethod
    def _receptive_radius(self, **settings: int) -> int:
        """Return how many pixels away a pixel of the photo can change one of the result, normalizations aside."""

    @abstractmethod
    def _bytes_per_pixel(self, **settings: int) -> int:
        """Return about how many bytes of memory each pixel takes while the network runs, in float32."""

    @abstractmethod
    def _module(self, **settings: int) -> "nn.Module":
        """Return the network in torch, with fresh weights."""

    @abstractmethod
    def _add_layers(self, graph: "OnnxGraph", **settings: int) -> None:
        """Add the network to an ONNX graph, from the tensor `photo` to the tensor `picture`."""

    def cell_side(self, cells: int, side: int) -> int:
        """Return how many of a tile's pixels, of `side` rows, each of `cells` rows of its features stands for."""
        return max(1, max(-(-side // SIDE_MULTIPLE) * SIDE_MULTIPLE, LEAST_SIDE) // cells)

    def complete(self, config: Config) -> dict[str, int]:
        """Return the network's settings with defaults filled in."""
        for key, value in config.items():
            if key not in self.defaults:
                raise ConfigError(f"The network {self.name!r} has no setting {key!r}.")
            if type(value) is not int or not 1 <= value <= _LARGEST_SETTING:
                raise ConfigError(f"The network setting {key} must be a whole number from 1 to {_LARGEST_SETTING}.")
        return {**self.defaults, **config}

    def parameter_shapes(self, config: Config) -> dict[str, Shape]:
        """Return the shape of each of the network's parameters by name."""
        return self._shapes(**self.complete(config))

    def norm_names(self, config: Config) -> tuple[str, ...]:
        """Return the names of the network's normalizations in the order in which they run."""
        shapes = self.parameter_shapes(config)
        weights = (name for name, shape in shapes.items() if name.endswith(".weight") and len(shape) == 1)
        return tuple(name.removesuffix(".weight") for name in weights)

    def receptive_radius(self, config: Config) -> int:
        """Return how far away, in pixels, the photo can change a pixel of the result, normalizations aside.

        A multiple of `SIDE_MULTIPLE`, rounded up: a pixel may lie anywhere in its cell.
        """
        reach = self._receptive_radius(**self.complete(config))
        return -(-(reach + SIDE_MULTIPLE - 1) // SIDE_MULTIPLE) * SIDE_MULTIPLE

    def bytes_per_pixel(self, config: Config) -> int:
        """Return about how many bytes of memory each pixel takes while the network runs, in float32."""
        return self._bytes_per_pixel(**self.complete(config))

    def build(self, config: Config = MappingProxyType({})) -> "nn.Module":
        """Build the network in torch, with fresh weights."""
        return self._module(**self.complete(config))

    def load(self, config: Config, weights: "Mapping[str, NDArray[np.floating[Any]]]") -> "nn.Module":
        """Build the network in torch with these weights, in float32."""
        import torch

        network = self.build(config)
        tensors = {name: torch.from_numpy(array.astype("float32")) for name, array in weights.items()}
        network.load_state_dict(tensors, assign=True)
        return network

    def onnx_model(
        self,
        config: Config,
        weights: "Mapping[str, NDArray[Any]]",
        norms: Sequence[Statistics] | None = None,
        *,
        smooths: bool = False,
    ) -> "onnx.ModelProto":
        """Build the network as an ONNX graph, `photo` to `picture`: `(B, 3, H, W)`, RGB in [0, 1], of any size.

        Args:
            config: The settings that differ from `defaults`.
            weights: The parameters by name.
            norms: Mean and variance of each channel for the normalizations, in their order, in place of the image's
                own. If they are fewer than the network has, the graph ends before the first one without, and is
                `photo` to `features`.
            smooths: Whether the graph, of one photo, also takes for each normalization the mean and variance used
                last, `last_N` `(2, C, 1, 1)`, and how much of them goes into those used now, `share`, and returns the
                latter, `used_N`.

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
    """Make a network known by its name, to style files, training and engines."""
    _REGISTERED[network.name] = network
    return network


def architecture(name: str) -> Architecture:
    """Return the network of this name.

    Raises:
        ConfigError: If there is none.
    """
    if name not in _REGISTERED:
        raise ConfigError(f"Unknown network {name!r}.", f"Available: {', '.join(_REGISTERED)}.")
    return _REGISTERED[name]


def architectures() -> tuple[Architecture, ...]:
    """Return all networks, in the order in which they were registered."""
    return tuple(_REGISTERED.values())

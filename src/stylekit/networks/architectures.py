"""What networks look like from outside, without torch: settings, parameter names and shapes, VGG-19's layers."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from stylekit.errors import ConfigError
from stylekit.networks.fast.facts import FAST_BORDER_REST, _fast_shapes, fast_border
from stylekit.networks.johnson.facts import _johnson_shapes
from stylekit.networks.shapes import SIDE_MULTIPLE, Shape

if TYPE_CHECKING:
    pass


NETWORK_DEFAULTS: dict[str, dict[str, int]] = {
    "fast": {"channels": 64, "blocks": 3, "half_channels": 32, "full_channels": 16},
    "johnson": {},
}
_LARGEST_SETTING = 1024


def complete_config(network: str, config: Mapping[str, Any]) -> dict[str, int]:
    """Return a network's settings with defaults filled in.

    Raises:
        ConfigError: if the network, or one of the settings, is unknown or out of range.
    """
    if network not in NETWORK_DEFAULTS:
        raise ConfigError(f"Unknown network {network!r}.", f"There are: {', '.join(NETWORK_DEFAULTS)}.")
    defaults = NETWORK_DEFAULTS[network]
    for key, value in config.items():
        if key not in defaults:
            raise ConfigError(f"The network {network!r} has no setting {key!r}.")
        if type(value) is not int or not 1 <= value <= _LARGEST_SETTING:
            raise ConfigError(f"The network setting {key} must be a whole number from 1 to {_LARGEST_SETTING}.")
    return {**defaults, **config}


def parameter_shapes(network: str, config: Mapping[str, Any]) -> dict[str, Shape]:
    """Return the shape of each of a network's parameters by name.

    Raises:
        ConfigError: as `complete_config`.
    """
    complete = complete_config(network, config)
    return _johnson_shapes() if network == "johnson" else _fast_shapes(**complete)


def norm_names(network: str, config: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of a network's normalisations in the order in which they run.

    Raises:
        ConfigError: as `complete_config`.
    """
    shapes = parameter_shapes(network, config)
    return tuple(
        name.removesuffix(".weight") for name, shape in shapes.items() if name.endswith(".weight") and len(shape) == 1
    )


def receptive_reach(network: str, config: Mapping[str, Any]) -> int:
    """Return how far away, in pixels, the pixels lie on which a result's pixel depends, but for normalisations.

    A multiple of `SIDE_MULTIPLE`, rounded up.

    Raises:
        ConfigError: as `complete_config`.
    """
    complete = complete_config(network, config)
    if network == "johnson":
        quarter, half, full = 5 * 2, 1 + 1, 4 + 1 + 1 + 4  # cells that 3x3 and 9x9 kernels reach at each resolution
        reach = 4 * quarter + 2 * half + full
    else:
        reach = fast_border(complete["blocks"]) - FAST_BORDER_REST
    return -(-(reach + SIDE_MULTIPLE - 1) // SIDE_MULTIPLE) * SIDE_MULTIPLE  # a pixel may lie anywhere in its cell


def working_bytes(network: str, config: Mapping[str, Any]) -> int:
    """Return about how many bytes of memory a network takes for each pixel while it runs, in float32.

    Raises:
        ConfigError: as `complete_config`.
    """
    complete = complete_config(network, config)
    if network == "johnson":
        return 500  # measured on a CPU: 370 to 460, in four tensors of 32 channels; a GPU holds twice as many, halved
    # Measured: 180 to 215. Six copies of the photo or the result, the last features twice, the body's once.
    return 6 * 3 * 4 + 2 * 4 * complete["full_channels"] + 4 * complete["channels"] // 16

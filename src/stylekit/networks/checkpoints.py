"""Other programs' checkpoints, read without unpickling anything but tensors."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from stylekit.errors import StyleFileError

_WRAPPERS = ("state_dict", "model_state_dict", "model")


def read_pth(path: Path) -> dict[str, NDArray[Any]]:
    """Read a `.pth` file's tensors, also wrapped in `{"state_dict": …}` or with `module.` before each name.

    Raises:
        StyleFileError: if it is no state dict, or anything but plain tensors would have to be unpickled.
    """
    import torch

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise StyleFileError(f"{path} does not exist.") from None
    except Exception as error:  # torch raises what the pickle makes it raise; none of it ran
        code = "GLOBAL" in str(error) or "Unsupported class" in str(error)
        reason = "it holds code, not only weights" if code else "it is damaged or no PyTorch file"
        raise StyleFileError(f"{path} was not read: {reason}.", "Ask its author for a plain state dict.") from None
    for key in _WRAPPERS:
        if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
            state = state[key]
    if not isinstance(state, Mapping) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise StyleFileError(f"{path} is not a state dict (parameter names with tensors).")
    try:
        return {str(name).removeprefix("module."): _array(tensor) for name, tensor in state.items()}
    except (RuntimeError, TypeError):
        raise StyleFileError(f"{path} holds tensors that are no plain arrays.") from None


def _array(tensor: Any) -> NDArray[Any]:
    """A tensor as an array of its own type, or float32 where NumPy lacks that type."""
    import torch

    known = tensor.dtype in (torch.float16, torch.float32, torch.float64) or not tensor.is_floating_point()
    array: NDArray[Any] = (tensor if known else tensor.float()).detach().numpy()
    return array

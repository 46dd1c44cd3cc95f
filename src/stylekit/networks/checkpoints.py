"""Read checkpoints that other programs wrote. Nothing but tensors is unpickled."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from stylekit.errors import StyleFileError

_WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network", "generator", "transformer")
_DEEPEST = 4  # nested wrappers around a state dict
_PREFIXES = re.compile(r"^(module\.|_orig_mod\.)+")  # added by DataParallel and torch.compile


def read_pth(path: Path) -> dict[str, NDArray[Any]]:
    """Read the tensors of a file that `torch.save` wrote.

    The state dict may be nested in dictionaries such as `{"state_dict": …}`, and its names may have the prefixes
    `module.` and `_orig_mod.`.

    Returns:
        Arrays by name, with the tensors' types; bfloat16 and other types that NumPy does not support become float32.

    Raises:
        StyleFileError: If the file cannot be read, is not a state dict, or pickles anything other than plain tensors.
    """
    import torch

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise StyleFileError(f"{path} does not exist.") from error
    except (PermissionError, IsADirectoryError) as error:
        hint = "Check its permissions." if isinstance(error, PermissionError) else "Check that it is a file."
        raise StyleFileError(f"Cannot read {path}: {error.strerror}.", hint) from error
    except Exception as error:  # a malformed pickle can raise any exception; its code was not executed
        has_code = "GLOBAL" in str(error) or "Unsupported class" in str(error)
        reason = "contains code, not only weights" if has_code else "is corrupt, or not a PyTorch file"
        raise StyleFileError(f"{path} {reason}.", "Ask its author for a plain state dict.") from error
    state = _unwrapped(state)
    if not isinstance(state, Mapping) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise StyleFileError(f"{path} is not a state dict (a mapping of parameter names to tensors).")
    try:
        return {_PREFIXES.sub("", str(name)): _array(tensor) for name, tensor in state.items()}
    except (RuntimeError, TypeError) as error:
        raise StyleFileError(f"{path} contains tensors that are not plain arrays.") from error


def _unwrapped(state: Any) -> Any:
    for _ in range(_DEEPEST):
        inner = state if isinstance(state, Mapping) else {}
        state = next((inner[key] for key in _WRAPPERS if isinstance(inner.get(key), Mapping)), state)
    return state


def _array(tensor: Any) -> NDArray[Any]:
    """Return a tensor as an array of the same type, or as float32 if NumPy does not support the type."""
    import torch

    known = tensor.dtype in (torch.float16, torch.float32, torch.float64) or not tensor.is_floating_point()
    array: NDArray[Any] = (tensor if known else tensor.float()).detach().numpy()
    return array

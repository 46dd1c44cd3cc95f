"""Find installed extras (optional dependencies) and the commands that install missing extras."""

import sys
from importlib.util import find_spec
from pathlib import Path

_DISTRIBUTION = "neural-stylekit"

# The files that mark an environment as created by pipx or uv, and the commands that install into it.
_TOOLS = {"pipx_metadata.json": "pipx install --force", "uv-receipt.toml": "uv tool install"}

# The modules of each extra. If the first module is installed, the extra counts as installed.
EXTRAS = {
    "torch": ("torch", "torchvision"),
    "video": ("av",),
    "heif": ("pillow_heif",),
    "studio": ("uvicorn", "starlette", "anyio"),
    "watch": ("watchfiles",),
}


def is_installed(module: str) -> bool:
    """Return whether a top-level module can be imported, without importing it."""
    try:
        return find_spec(module) is not None
    except ValueError:  # the module is blocked in `sys.modules`
        return False


def extra_of(module: str | None) -> str | None:
    """Return the extra that installs a module or submodule, or None if the module belongs to no extra."""
    top = (module or "").partition(".")[0]
    return next((extra for extra, modules in EXTRAS.items() if top in modules), None)


def install_hint(extra: str) -> str:
    """Return the command that installs an extra into the environment of stylekit.

    Args:
        extra: A key of `EXTRAS`.

    Returns:
        A command of pipx, uv or pip, depending on which of them installed stylekit. pipx and uv replace the whole
        environment, so their commands include the extras that are already installed.
    """
    quote = '"' if sys.platform == "win32" else "'"
    tool = next((command for mark, command in _TOOLS.items() if (Path(sys.prefix) / mark).is_file()), None)
    if tool is None:
        pip = "pip" if is_installed("pip") else "uv pip"
        return f"{pip} install {quote}{_DISTRIBUTION}[{extra}]{quote}"
    extras = {extra, *(name for name, (module, *_) in EXTRAS.items() if is_installed(module))}
    return f"{tool} {quote}{_DISTRIBUTION}[{','.join(sorted(extras))}]{quote}"

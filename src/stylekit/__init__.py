"""Neural style transfer: one command turns photos into paintings.

The public names are imported on first use, so `import stylekit` is fast. Start with `load_style` or `apply_styles`.
"""

from stylekit._version import __version__ as __version__

TYPE_CHECKING = False  # not imported from typing, which would double the time that importing this package takes
if TYPE_CHECKING:
    from stylekit.apply.reports import BatchReport, FileReport
    from stylekit.apply.run import apply_styles
    from stylekit.apply.sheets.contact_sheet import ContactSheet, SheetTile, contact_sheet
    from stylekit.apply.watch import watch_folders
    from stylekit.config.apply import ApplyConfig
    from stylekit.config.gatys import GatysConfig
    from stylekit.config.sheet import SheetConfig
    from stylekit.config.train import TrainConfig
    from stylekit.errors import StylekitError
    from stylekit.optimization.optimize import gatys
    from stylekit.optimization.scales import GatysReport
    from stylekit.styles.catalog import list_styles
    from stylekit.styles.library import export_style, import_style, remove_style, style_info
    from stylekit.styles.pull import pull_style
    from stylekit.stylization.style import Style, blend_styles, load_style
    from stylekit.system.distributed import World, read_world
    from stylekit.training.photos import open_photos
    from stylekit.training.train import StepReport, train_style
    from stylekit.video.paint import VideoReport

# The module that defines each public name.
_HOMES = {
    "ApplyConfig": "config.apply",
    "BatchReport": "apply.reports",
    "ContactSheet": "apply.sheets.contact_sheet",
    "FileReport": "apply.reports",
    "GatysConfig": "config.gatys",
    "GatysReport": "optimization.scales",
    "SheetConfig": "config.sheet",
    "SheetTile": "apply.sheets.contact_sheet",
    "StepReport": "training.train",
    "Style": "stylization.style",
    "StylekitError": "errors",
    "TrainConfig": "config.train",
    "VideoReport": "video.paint",
    "World": "system.distributed",
    "apply_styles": "apply.run",
    "blend_styles": "stylization.style",
    "contact_sheet": "apply.sheets.contact_sheet",
    "export_style": "styles.library",
    "gatys": "optimization.optimize",
    "import_style": "styles.library",
    "list_styles": "styles.catalog",
    "load_style": "stylization.style",
    "open_photos": "training.photos",
    "pull_style": "styles.pull",
    "read_world": "system.distributed",
    "remove_style": "styles.library",
    "style_info": "styles.library",
    "train_style": "training.train",
    "watch_folders": "apply.watch",
}

_NEED_TORCH = ("optimization.", "training.train")  # prefixes of the modules that import torch

__all__ = [
    "ApplyConfig",
    "BatchReport",
    "ContactSheet",
    "FileReport",
    "GatysConfig",
    "GatysReport",
    "SheetConfig",
    "SheetTile",
    "StepReport",
    "Style",
    "StylekitError",
    "TrainConfig",
    "VideoReport",
    "World",
    "apply_styles",
    "blend_styles",
    "contact_sheet",
    "export_style",
    "gatys",
    "import_style",
    "list_styles",
    "load_style",
    "open_photos",
    "pull_style",
    "read_world",
    "remove_style",
    "style_info",
    "train_style",
    "watch_folders",
]


def __getattr__(name: str) -> object:
    """Import a public name.

    Raises:
        AttributeError: If the name is not public.
        ModuleNotFoundError: If it needs an extra that is not installed; the message gives the command to install it.
    """
    if name not in _HOMES:
        raise AttributeError(f"module 'stylekit' has no attribute {name!r}")
    from importlib import import_module  # here, so that commands start faster

    try:
        home = import_module(f"stylekit.{_HOMES[name]}")
    except ModuleNotFoundError as error:
        from stylekit.system.extras import extra_of, install_hint

        extra = extra_of(error.name)
        if extra is None:
            raise
        message = f"stylekit.{name} needs the extra {extra!r}: {install_hint(extra)}"
        raise ModuleNotFoundError(message, name=error.name) from error
    return getattr(home, name)


def __dir__() -> list[str]:
    """Return the public names; if torch is missing, only those that work without it, for `help(stylekit)`."""
    from stylekit.system.extras import is_installed

    return [name for name in __all__ if is_installed("torch") or not _HOMES[name].startswith(_NEED_TORCH)]

"""Neural style transfer: one command turns photos into paintings.

The public names are imported on first use, so `import stylekit` is fast. Start with `load_style` or `apply_styles`.
"""

from importlib import import_module

from stylekit._version import __version__ as __version__

TYPE_CHECKING = False  # not typing's, whose import takes as long as all else here: every command starts with this
if TYPE_CHECKING:
    from stylekit.apply.reports import BatchReport, FileReport
    from stylekit.apply.run import apply_styles
    from stylekit.config.apply import ApplyConfig
    from stylekit.config.gatys import GatysConfig
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

# The module of each public name.
_HOMES = {
    "ApplyConfig": "config.apply",
    "BatchReport": "apply.reports",
    "FileReport": "apply.reports",
    "GatysConfig": "config.gatys",
    "GatysReport": "optimization.scales",
    "StepReport": "training.train",
    "Style": "stylization.style",
    "StylekitError": "errors",
    "TrainConfig": "config.train",
    "VideoReport": "video.paint",
    "World": "system.distributed",
    "apply_styles": "apply.run",
    "blend_styles": "stylization.style",
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
}

_NEED_TORCH = ("optimization.", "training.train")  # homes that import it

__all__ = [
    "ApplyConfig",
    "BatchReport",
    "FileReport",
    "GatysConfig",
    "GatysReport",
    "StepReport",
    "Style",
    "StylekitError",
    "TrainConfig",
    "VideoReport",
    "World",
    "apply_styles",
    "blend_styles",
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
]


def __getattr__(name: str) -> object:
    """Import a public name.

    Raises:
        AttributeError: If the name is not public.
        ModuleNotFoundError: If it needs an extra that is not installed, with the command that installs it.
    """
    if name not in _HOMES:
        raise AttributeError(f"module 'stylekit' has no attribute {name!r}")
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
    """Return the public names; those that need torch only if it is installed, so that `help(stylekit)` works."""
    from stylekit.system.extras import is_installed

    return [name for name in __all__ if is_installed("torch") or not _HOMES[name].startswith(_NEED_TORCH)]

"""Neural style transfer: one command, and a photo is a painting.

The names below are imported on first use, so that `import stylekit` stays light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from stylekit._version import __version__ as __version__

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
    from stylekit.styles.library import import_style
    from stylekit.styles.pull import pull_style
    from stylekit.stylization.style import Style, blend_styles, load_style
    from stylekit.training.photos import open_photos
    from stylekit.training.train import StepReport, train_style
    from stylekit.video.paint import VideoReport

_HOMES = {
    "ApplyConfig": "config.apply",
    "BatchReport": "apply.reports",
    "FileReport": "apply.reports",
    "VideoReport": "video.paint",
    "GatysConfig": "config.gatys",
    "GatysReport": "optimization.scales",
    "StepReport": "training.train",
    "Style": "stylization.style",
    "StylekitError": "errors",
    "TrainConfig": "config.train",
    "apply_styles": "apply.run",
    "blend_styles": "stylization.style",
    "gatys": "optimization.optimize",
    "import_style": "styles.library",
    "list_styles": "styles.catalog",
    "load_style": "stylization.style",
    "open_photos": "training.photos",
    "pull_style": "styles.pull",
    "train_style": "training.train",
}

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
    "apply_styles",
    "blend_styles",
    "gatys",
    "import_style",
    "list_styles",
    "load_style",
    "open_photos",
    "pull_style",
    "train_style",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'stylekit' has no attribute {name!r}")
    return getattr(import_module(f"stylekit.{_HOMES[name]}"), name)

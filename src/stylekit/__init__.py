"""Neural style transfer: one command, and a photo is a painting.

The names below are imported on first use, so that `import stylekit` stays light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stylekit.batch import apply_styles
    from stylekit.catalog import list_styles
    from stylekit.config import ApplyConfig, GatysConfig, TrainConfig
    from stylekit.datasets import open_photos
    from stylekit.errors import StylekitError
    from stylekit.film_painting import FilmReport
    from stylekit.library import import_style
    from stylekit.optimization import gatys
    from stylekit.outcomes import BatchReport, FileReport
    from stylekit.pulling import pull_style
    from stylekit.scales import GatysReport
    from stylekit.stylization import Style, blend_styles, load_style
    from stylekit.training import StepReport, train_style

__version__ = "0.1.0"

_HOMES = {
    "ApplyConfig": "config",
    "BatchReport": "outcomes",
    "FileReport": "outcomes",
    "FilmReport": "film_painting",
    "GatysConfig": "config",
    "GatysReport": "scales",
    "StepReport": "training",
    "Style": "stylization",
    "StylekitError": "errors",
    "TrainConfig": "config",
    "apply_styles": "batch",
    "blend_styles": "stylization",
    "gatys": "optimization",
    "import_style": "library",
    "list_styles": "catalog",
    "load_style": "stylization",
    "open_photos": "datasets",
    "pull_style": "pulling",
    "train_style": "training",
}

__all__ = [
    "ApplyConfig",
    "BatchReport",
    "FileReport",
    "FilmReport",
    "GatysConfig",
    "GatysReport",
    "StepReport",
    "Style",
    "StylekitError",
    "TrainConfig",
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

"""The recipe by which a video was painted, stored in its metadata."""

from collections.abc import Mapping
from pathlib import Path

from stylekit.video.files import open_video

_COMMENT = "comment"  # the only key that every format can hold
_RECIPE_START = '{"stylekit":'


def read_video_recipe(path: Path) -> str | None:
    """Return the recipe by which a video was painted, without decoding its frames.

    Args:
        path: The video.

    Returns:
        The recipe, as JSON; None if the video has none or cannot be read.
    """
    try:
        with open_video(path) as container:
            lines = _comment(container.metadata).splitlines()
    except Exception:  # corrupt files can raise any exception
        return None
    return next((line for line in lines if line.startswith(_RECIPE_START)), None)


def with_recipe(metadata: Mapping[str, str], recipe: str | None) -> dict[str, str]:
    """Return a video's metadata with the recipe in its comment replaced; None removes the recipe."""
    lines = [line for line in _comment(metadata).splitlines() if not line.startswith(_RECIPE_START)]
    others = {key: value for key, value in metadata.items() if key.lower() != _COMMENT}
    comment = "\n".join([*lines, recipe] if recipe else lines)
    return {**others, _COMMENT: comment} if comment else others


def _comment(metadata: Mapping[str, str]) -> str:
    """Return the comment, whose key is in upper case in some formats."""
    return next((value for key, value in metadata.items() if key.lower() == _COMMENT), "")

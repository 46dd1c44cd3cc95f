"""Small images of the paintings that bundled styles were trained on."""

from pathlib import Path

from stylekit.styles.locations import bundled_styles_dir

THUMBNAILS = bundled_styles_dir() / "thumbnails"


def find_thumbnail(style_file: Path) -> Path | None:
    """Return the image of a style's painting, or None: only bundled styles have one.

    Args:
        style_file: The style's file. One of the user's own that hides a bundled style has another painting.
    """
    path = THUMBNAILS / f"{style_file.stem}.jpg"
    return path if style_file.parent == bundled_styles_dir() and path.is_file() else None

"""Find thumbnails of the paintings on which bundled styles were trained."""

from pathlib import Path

from stylekit.styles.locations import bundled_styles_dir

THUMBNAILS = bundled_styles_dir() / "thumbnails"


def find_thumbnail(style_file: Path) -> Path | None:
    """Return the thumbnail of a style's painting, or None if the style is not bundled.

    Args:
        style_file: The style's file. If it is the user's own, the result is None, even if it hides a bundled style
            of the same name.
    """
    path = THUMBNAILS / f"{style_file.stem}.jpg"
    return path if style_file.parent == bundled_styles_dir() and path.is_file() else None

"""Settings of a stylized image's look."""

from dataclasses import dataclass

from stylekit.config.checks import check_painting


@dataclass(frozen=True)
class Look:
    """How a style is applied to an image.

    Attributes:
        stroke_size: Stroke size relative to the network's own, 0.1 to 100; None fits the strokes to the image.
        strength: Share of the stylized image in the result, 0 (the photo) to 1.
        keep_colors: Whether to keep the photo's colors and take only the brushwork.
        tile: Side in pixels of the tiles in which an image is stylized, to save memory; 0 stylizes it in one piece,
            None decides by the free memory. The result is the same.

    Raises:
        ConfigError: If a setting is out of its range.
    """

    stroke_size: float | None = None
    strength: float = 1.0
    keep_colors: bool = False
    tile: int | None = None

    def __post_init__(self) -> None:
        """Check every setting."""
        check_painting(self.stroke_size, self.strength, self.tile)

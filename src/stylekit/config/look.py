"""The settings that control how a stylized image looks."""

from dataclasses import dataclass

from stylekit.config.checks import check_painting


@dataclass(frozen=True)
class Look:
    """The settings that control how a style is applied to an image.

    Attributes:
        stroke_size: Size of the strokes, as a multiple (0.1 to 100) of the size that the network was trained for; None
            adapts it to the image.
        strength: Share of the stylized image in the result, from 0 (the photo) to 1.
        keep_colors: Whether to keep the photo's colors and take only the brushwork.
        tile: Side in pixels of the tiles that an image is split into to save memory, 64 or more; 0 turns tiling off,
            None chooses by the free memory. Tiling does not change the result.

    Raises:
        ConfigError: If a setting is out of range.
    """

    stroke_size: float | None = None
    strength: float = 1.0
    keep_colors: bool = False
    tile: int | None = None

    def __post_init__(self) -> None:
        """Check every setting."""
        check_painting(self.stroke_size, self.strength, self.tile)

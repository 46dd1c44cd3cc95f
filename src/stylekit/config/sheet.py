"""The settings of `stylekit sheet`."""

from dataclasses import dataclass

from stylekit.config.apply import ApplyConfig
from stylekit.config.checks import MAX_PIXELS, check_minimum, check_painting, check_range, require
from stylekit.config.look import Look
from stylekit.system.devices import check_device

STYLE_GROUPS = ("all", "bundled", "own")  # words that select several styles on this machine


@dataclass(frozen=True)
class SheetConfig:
    """Settings of `contact_sheet` and `stylekit sheet`.

    Attributes:
        strengths: Shares of the stylized image, from 0 (the photo) to 1; several values make a grid.
        stroke_sizes: Sizes of the strokes, as multiples (0.1 to 100) of the size that the network was trained for; None
            adapts a size to the photo. Several values make a grid.
        keep_colors: Whether to keep the photo's colors and take only the brushwork.
        size: Longer side in pixels of the photo in a tile, 32 to 4096; a smaller photo keeps its size.
        columns: Number of tiles in a row, if each style has a single tile; None fits the sheet to the screen.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        max_pixels: Largest number of pixels that the photo may have; more are rejected as a decompression bomb.

    Raises:
        ConfigError: If a setting is out of range.
    """

    strengths: tuple[float, ...] = (Look.strength,)
    stroke_sizes: tuple[float | None, ...] = (Look.stroke_size,)
    keep_colors: bool = Look.keep_colors
    size: int = 480
    columns: int | None = None
    device: str = ApplyConfig.device
    max_pixels: int = MAX_PIXELS

    def __post_init__(self) -> None:
        """Check every setting."""
        require(bool(self.strengths), "--strength needs a number.")
        require(bool(self.stroke_sizes), "--stroke-size needs auto or a number.")
        for strength in self.strengths:
            check_painting(None, strength)
        for stroke_size in self.stroke_sizes:
            check_painting(stroke_size, Look.strength)
        check_range("size", self.size, 32, 4096)
        check_minimum("columns", self.columns, 1)
        require(
            self.columns is None or not self.is_grid,
            "--columns needs a single strength and a single stroke size.",
            "Leave out --columns: in a grid, the columns are the strengths.",
        )
        check_minimum("max_pixels", self.max_pixels, 1)
        check_device(self.device)

    @property
    def is_grid(self) -> bool:
        """Whether each style has several tiles."""
        return len(self.strengths) * len(self.stroke_sizes) > 1

"""The settings of `stylekit apply`."""

from dataclasses import dataclass

from stylekit.config.checks import (
    MAX_PIXELS,
    check_choice,
    check_engine,
    check_minimum,
    check_painting,
    check_quality,
    check_range,
)
from stylekit.config.look import Look
from stylekit.errors import ConfigError
from stylekit.system.devices import check_device
from stylekit.system.processors import usable_threads

DEFAULT_STYLE = "starry-night"

CODECS = ("auto", "h264", "hevc", "vp9")

COMMAND_JOBS = max(1, min(8, usable_threads() // 2))  # the default of `ApplyConfig.jobs` on the command line


@dataclass(frozen=True)
class ApplyConfig:
    """Settings of `apply_styles` and `stylekit apply`.

    Attributes:
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        engine: `torch`, `onnxruntime` (CPU only), or `auto` for the fastest on the device.
        threads: CPU threads for the network, at most as many as the CPU has; None leaves the number to the engine.
        recursive: Whether to include the subfolders of a folder.
        max_size: Longer side in pixels to which larger photos are reduced first; None keeps their size.
        stroke_size: Size of the strokes, as a multiple (0.1 to 100) of the size that the network was trained for; None
            adapts it to the photo.
        strength: Share of the stylized image in the result, from 0 (the photo) to 1.
        keep_colors: Whether to keep the photo's chroma and take only the luma of the stylized image.
        tile: Side in pixels of the tiles that a large image is split into, 64 or more; 0 turns tiling off, None
            chooses by the free memory.
        steady: Share of the previous frame that is kept where the scene is still, 0 to 1.
        codec: Video codec: `h264`, `hevc` or `vp9`; `auto` chooses by the format of the file.
        crf: Constant rate factor of videos, 0 to 63, where lower values give better quality; None uses a common
            value for the codec.
        fps: Frame rate of videos, 1 to 1000 frames per second; None keeps the original times of the frames.
        start: Time in seconds at which to start in videos.
        end: Time in seconds at which to stop in videos; None continues to the end.
        format: Format of the results (`jpeg`, `png`, `webp`, `tiff`, `bmp`, `avif` or `heic`); None keeps the format of
            the input.
        quality: Quality of JPEG, WebP, AVIF and HEIC files, 1 to 100.
        overwrite: Whether to replace existing results.
        strip_metadata: Whether to remove EXIF (with its GPS position), XMP and the recipe.
        max_pixels: Largest number of pixels that an image may have; more are rejected as a decompression bomb.
        jobs: Number of worker processes that decode the photos of a batch. A photo that crashes its decoder then does
            not affect the others. 0 decodes in threads. Other values need a main module guarded by
            `if __name__ == "__main__"`.
        again: Whether to stylize inputs that are already paintings by stylekit.
    """

    device: str = "auto"
    engine: str = "auto"
    threads: int | None = None
    recursive: bool = True
    max_size: int | None = None
    stroke_size: float | None = Look.stroke_size
    strength: float = Look.strength
    keep_colors: bool = Look.keep_colors
    tile: int | None = Look.tile
    steady: float = 0.9
    codec: str = "auto"
    crf: int | None = None
    fps: float | None = None
    start: float = 0.0
    end: float | None = None
    format: str | None = None
    quality: int = 92
    overwrite: bool = False
    strip_metadata: bool = False
    max_pixels: int = MAX_PIXELS
    jobs: int = 0
    again: bool = False

    def __post_init__(self) -> None:
        """Check every setting."""
        check_device(self.device)
        check_engine(self.engine, self.device, self.threads)
        check_painting(self.stroke_size, self.strength, self.tile)
        check_quality(self.quality)
        for setting, least in {"jobs": 0, "max_size": 1, "max_pixels": 1, "start": 0}.items():
            check_minimum(setting, getattr(self, setting), least)
        check_range("steady", self.steady, 0, 1)
        check_choice("codec", self.codec, CODECS)
        check_range("crf", self.crf, 0, 63)
        check_range("fps", self.fps, 1, 1000)
        if self.end is not None and not self.start < self.end < float("inf"):
            raise ConfigError(f"--end must be later than --start ({self.start:g} s), not {self.end:g} s.")

    @property
    def look(self) -> Look:
        """The settings that affect the pixels of an image, rather than the file."""
        return Look(self.stroke_size, self.strength, self.keep_colors, self.tile)

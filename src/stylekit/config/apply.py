"""Settings of `apply`."""

import os
from dataclasses import dataclass

from stylekit.config.checks import _require, check_engine, check_painting, check_quality
from stylekit.system.devices import check_device

DEFAULT_STYLE = "starry-night"

CODECS = ("auto", "h264", "hevc", "vp9")

COMMAND_JOBS = max(1, min(8, (os.cpu_count() or 1) // 2))  # `ApplyConfig.jobs` of the command line


@dataclass(frozen=True)
class ApplyConfig:
    """Settings of `apply`.

    Attributes:
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        engine: `torch`, `onnxruntime` (CPU), or `auto`: the fastest that fits the device.
        threads: CPU threads of the network, at most as many as the CPU has; None leaves the choice to the engine.
        recursive: whether a folder's subfolders are taken too.
        max_size: longer side in pixels to which larger photos are reduced first; None keeps their size.
        stroke_size: strokes in units of the network's own; None fits them to the photo. See `strokes`.
        strength: share of the stylised picture in the result, 0 (the photo) to 1.
        keep_colors: whether the photo's chroma is kept under the painting's luma.
        tile: side in pixels of the tiles in which a picture is painted; 0 paints it in one piece, None decides by the
            memory that is free.
        steady: how much of a video's last picture stays where the scene has not changed, 0 to 1.
        codec: what videos are coded by (`h264`, `hevc`, `vp9`); `auto` leaves it to the kind of file.
        crf: constant rate factor of videos, 0 to 63, lower is better; None takes the codec's usual.
        fps: frames a second of videos; None keeps each frame's time.
        start: second from which on videos are taken.
        end: second up to which videos are taken; None goes to the end.
        format: format of the outputs (`jpeg`, `png`, `webp`, `tiff`, `bmp`, `avif`, `heic`); None follows the input.
        quality: JPEG, WebP, AVIF and HEIC quality, 1 to 100.
        overwrite: whether existing outputs are replaced.
        strip_metadata: whether EXIF (with its GPS position) and XMP are left out.
        max_pixels: pixels above which a picture is taken for a decompression bomb.
        jobs: processes that decode a batch's photos, so that one that dies of a photo costs only that photo; 0 decodes
            in threads. A program whose main module is not guarded by `if __name__ == "__main__"` cannot have any.
    """

    device: str = "auto"
    engine: str = "auto"
    threads: int | None = None
    recursive: bool = True
    max_size: int | None = None
    stroke_size: float | None = None
    strength: float = 1.0
    keep_colors: bool = False
    tile: int | None = None
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
    max_pixels: int = 500_000_000
    jobs: int = 0

    def __post_init__(self) -> None:
        check_device(self.device)
        check_engine(self.engine, self.device, self.threads)
        _require(self.jobs >= 0, f"jobs must be 0 or more, not {self.jobs}.")
        _require(self.max_size is None or self.max_size >= 1, f"max size must be 1 px or more, not {self.max_size}.")
        check_painting(self.stroke_size, self.strength, self.tile)
        check_quality(self.quality)
        _require(self.max_pixels >= 1, f"max pixels must be 1 or more, not {self.max_pixels}.")
        self._check_videos()

    def _check_videos(self) -> None:
        _require(0 <= self.steady <= 1, f"steady must lie between 0 and 1, not {self.steady:g}.")
        _require(self.codec in CODECS, f"codec must be one of {', '.join(CODECS)}, not {self.codec!r}.")
        _require(self.crf is None or 0 <= self.crf <= 63, f"crf must lie between 0 and 63, not {self.crf}.")
        _require(self.fps is None or 1 <= self.fps <= 1000, f"fps must lie between 1 and 1000, not {self.fps}.")
        _require(0 <= self.start < float("inf"), f"start must be 0 or more, not {self.start:g}.")
        _require(self.end is None or self.start < self.end < float("inf"), f"end must lie after start, not {self.end}.")

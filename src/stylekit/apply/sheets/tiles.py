"""Paint the tiles of a contact sheet: one photo in several styles and settings.

A tile shows a reduced version of the full-size result. A style therefore paints the photo at the size at which `apply`
paints it, and the painting is reduced. If that would take too long, because there are many styles or the photo is very
large, the photo is painted at a smaller size, and the strokes look larger in the tile.
"""

from collections.abc import Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from stylekit.config.sheet import SheetConfig
from stylekit.errors import StylekitError
from stylekit.images.errors import read_errors
from stylekit.images.photo import Photo
from stylekit.images.pillow import open_image, pillow
from stylekit.images.pixels import Pixels, reduced_size
from stylekit.images.reading import ImageLike, as_photo
from stylekit.images.repairs import repaired
from stylekit.styles.library import read_style
from stylekit.styles.style_file import Credits
from stylekit.stylization.finishing import finish
from stylekit.stylization.strokes import restored, stroke_scale
from stylekit.stylization.style import Style
from stylekit.stylization.tiling import paint
from stylekit.system.devices import select_device
from stylekit.system.memory import memory_errors
from stylekit.system.processors import usable_cores

_ALL_PAINTINGS = 8_000_000  # pixels that all styles together paint at each stroke size
_LEAST_PAINTING = 400_000  # pixels that each style paints, even if there are many styles
_LARGE_PHOTO = 3  # largest size of the photo on the sheet, relative to a tile
_MOST_WORKERS = 4
_LESS_MEMORY = "Use fewer styles, or a smaller --size."


@dataclass(frozen=True)
class Subject:
    """The photo of a sheet.

    Attributes:
        size: Width and height of the photo.
        base: The photo, reduced to the largest size that is needed.
        tile: Width and height of the photo in a tile.
        painted: Width and height at which the photo is painted, for each stroke size.
    """

    size: tuple[int, int]
    base: Photo
    tile: tuple[int, int]
    painted: tuple[tuple[int, int], ...]

    def pixels(self, size: tuple[int, int]) -> Pixels:
        """Return the photo's pixels `(H, W, 3)` in another width and height."""
        return _resized(self.base.pixels, size)

    def with_alpha(self, pixels: Pixels) -> Image.Image:
        """Return pixels `(H, W, 3)` of any size as an image with the photo's transparency."""
        image = Image.fromarray(pixels)
        if self.base.alpha is not None:
            image.putalpha(Image.fromarray(self.base.alpha).resize(image.size, Image.Resampling.LANCZOS))
        return image


@dataclass(frozen=True)
class StyleTiles:
    """The tiles of a style.

    Attributes:
        name: The style, as given.
        path: The file of the style.
        credits: The credits of the painting; empty if the file could not be read.
        weights_sha256: The SHA-256 hash of the weights; empty if the style failed.
        images: RGB values `(H, W, 3)` for each stroke size and, within it, each strength; empty if the style failed.
        error: Why the style failed; None if it did not.
    """

    name: str
    path: Path
    credits: Credits
    weights_sha256: str = ""
    images: tuple[Pixels, ...] = ()
    error: StylekitError | None = None


def open_subject(photo: ImageLike, config: SheetConfig, styles: int) -> Subject:
    """Read the photo of a sheet.

    Args:
        photo: The photo.
        config: The settings.
        styles: The number of styles; the more there are, the fewer pixels each may paint.

    Raises:
        ImageError: If the photo cannot be read.
    """
    stored = _stored_size(photo, config.max_pixels)
    share = max(_LEAST_PAINTING, _ALL_PAINTINGS // styles)
    sides = [max(_painted_size(stored, stroke_size, share, config.size)) for stroke_size in config.stroke_sizes]
    base = as_photo(photo, max_pixels=config.max_pixels, max_size=max(*sides, _LARGE_PHOTO * config.size))
    height, width = base.pixels.shape[:2]
    size = (max(stored), min(stored)) if width > height else (min(stored), max(stored))  # upright
    painted = tuple(_painted_size(size, stroke_size, share, config.size) for stroke_size in config.stroke_sizes)
    return Subject(size, base, reduced_size(size, config.size), painted)


def _stored_size(photo: ImageLike, max_pixels: int) -> tuple[int, int]:
    """Return a photo's width and height before it is rotated upright; arbitrary if `as_photo` will reject the photo."""
    if isinstance(photo, Image.Image):
        return photo.size
    if not isinstance(photo, str | Path):
        height, width = np.shape(photo)[:2] if np.ndim(photo) > 1 else (1, 1)
        return width, height
    path = Path(photo)
    if not path.is_file():  # opening a pipe would block until it has a writer
        return 1, 1
    with read_errors(path.name), pillow.set_for(max_pixels), path.open("rb") as stream:
        file, _ = repaired(stream, [])
        with open_image(file, path.name) as image:
            return image.size


def _painted_size(size: tuple[int, int], stroke_size: float | None, share: int, tile: int) -> tuple[int, int]:
    """Return the width and height at which a photo is painted: as by `apply`, but not many more than `share` pixels."""
    width, height = size
    scale = stroke_scale(stroke_size, width, height)
    in_tile = reduced_size(size, tile)
    scale = max(scale, (width * height / max(share, in_tile[0] * in_tile[1])) ** 0.5)
    return max(1, round(width / scale)), max(1, round(height / scale))


def paint_styles(
    subject: Subject, styles: Mapping[str, Path], config: SheetConfig
) -> Generator[StyleTiles, None, None]:
    """Paint the tiles of several styles in parallel, and yield them in order.

    If a style fails, the others are still painted.

    Args:
        subject: The photo.
        styles: The file of each style.
        config: The settings.

    Raises:
        DeviceUnavailable: If the device is unavailable.
    """
    device = select_device(config.device)
    cores = usable_cores()
    workers = min(cores, len(styles), _MOST_WORKERS) if device == "cpu" else 1
    threads = None if workers == 1 else cores // workers

    def paint_style(name: str, path: Path) -> StyleTiles:
        credits = Credits()
        try:
            file = read_style(path)
            credits = file.metadata.credits
            with memory_errors("cpu", _LESS_MEMORY):
                images = tuple(_images(subject, Style.from_file(file, device=device, threads=threads), config))
        except StylekitError as error:
            return StyleTiles(name, path, credits, error=error)
        return StyleTiles(name, path, credits, file.weights_sha256, images)

    pool = ThreadPoolExecutor(workers, thread_name_prefix="sheet")
    try:
        yield from pool.map(paint_style, styles.keys(), styles.values())
    finally:
        pool.shutdown(cancel_futures=True)


def _images(subject: Subject, style: Style, config: SheetConfig) -> Iterator[Pixels]:
    """Yield a style's tile for each stroke size and, within it, each strength."""
    photo = subject.pixels(subject.tile)
    for size in subject.painted:
        small = subject.pixels(size)
        (painted,) = paint(style.engine, [small])
        is_smaller = max(size) < max(subject.tile)
        image = restored(painted, small, photo) if is_smaller else _resized(painted, subject.tile)
        for strength in config.strengths:
            yield finish(image.copy(), photo, strength=strength, keep_colors=config.keep_colors)


def _resized(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    height, width = pixels.shape[:2]
    if (width, height) == size:
        return pixels
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))

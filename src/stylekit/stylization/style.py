"""A style on a device, ready to stylize images."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from PIL import Image

from stylekit.config.apply import ApplyConfig
from stylekit.config.checks import check_shares
from stylekit.config.look import Look
from stylekit.engines import build_engine
from stylekit.engines.blended import BlendedEngine
from stylekit.engines.protocol import Engine
from stylekit.images.photo import Photo, photo_to_image
from stylekit.images.pixels import Pixels
from stylekit.images.reading import ImageLike, as_photo
from stylekit.styles.library import load_style_file_by_name
from stylekit.styles.style_file import StyleFile, StyleMetadata
from stylekit.stylization.finishing import finish
from stylekit.stylization.strokes import reduced, restored, stroke_scale
from stylekit.stylization.tiling import paint
from stylekit.system.memory import memory_errors


class Style:
    """A trained style on a device; calling it stylizes an image.

    Attributes:
        metadata: Name, artist, training recipe and so on.
        engine: The engine that runs its network.
    """

    def __init__(self, metadata: StyleMetadata, engine: Engine) -> None:
        """Use `load_style` or `blend_styles` instead."""
        self.metadata = metadata
        self.engine = engine

    @classmethod
    def from_file(
        cls, file: StyleFile, *, device: str = "auto", engine: str = "auto", threads: int | None = None
    ) -> "Style":
        """Prepare a loaded style file; see `load_style`."""
        return cls(file.metadata, build_engine(file, device=device, engine=engine, threads=threads))

    @classmethod
    def blended(
        cls,
        files: Sequence[StyleFile],
        shares: Sequence[float],
        *,
        device: str = "auto",
        engine: str = "auto",
        threads: int | None = None,
    ) -> "Style":
        """Prepare several loaded style files as one style; see `blend_styles`."""
        used = [(file, share) for file, share in zip(files, shares, strict=True) if share]
        engines = [build_engine(file, device=device, engine=engine, threads=threads) for file, _ in used]
        parts = [file.metadata for file in files]
        metadata = StyleMetadata(
            name="-".join(part.name for part in parts),
            network=_joined(part.network for part in parts),
            title=_joined(part.title for part in parts),
            artist=_joined(part.artist for part in parts),
            licence=_joined(part.licence for part in parts),
        )
        return cls(metadata, BlendedEngine(engines, [share for _, share in used]))

    def __repr__(self) -> str:
        """Return the style's name and network, and the engine and device that run the network."""
        engine = self.engine.facts
        return f"<Style {self.metadata.name!r}: network {self.metadata.network}, {engine.name} on {engine.device}>"

    def __call__(
        self,
        image: ImageLike,
        *,
        stroke_size: float | None = Look.stroke_size,
        strength: float = Look.strength,
        keep_colors: bool = Look.keep_colors,
        tile: int | None = Look.tile,
    ) -> Image.Image:
        """Stylize an image.

        Args:
            image: A path, a Pillow image of any mode, or RGB values `(H, W, 3)` of type uint8. Its EXIF orientation and
                color profile are applied, and its transparency is kept.
            stroke_size: Factor by which to enlarge the network's strokes, 0.1 to 100; None fits them to the image.
            strength: Share of the stylized image in the result, 0 (the photo) to 1.
            keep_colors: Whether to keep the photo's colors and take only the brushwork.
            tile: Side in pixels of the tiles in which the image is stylized to save memory; 0 stylizes it in one piece,
                None decides by the free memory. Tiles do not change the result.

        Returns:
            An image of the same (upright) size, RGBA if the image has transparency, else RGB, with its metadata.

        Raises:
            ConfigError: If `stroke_size`, `strength` or `tile` is out of its range.
            ImageError: If the image cannot be read.
            OutOfMemory: If the device has too little memory.
        """
        photo = _photo(image)
        (pixels,) = self.stylize_batch([photo.pixels], Look(stroke_size, strength, keep_colors, tile))
        metadata = dataclasses.replace(photo.metadata, recipe=None)  # describes how the photo itself was painted
        return photo_to_image(dataclasses.replace(photo, pixels=pixels, metadata=metadata))

    def stylize(
        self,
        image: ImageLike,
        *,
        stroke_size: float | None = Look.stroke_size,
        strength: float = Look.strength,
        keep_colors: bool = Look.keep_colors,
        tile: int | None = Look.tile,
    ) -> Pixels:
        """Stylize an image as `__call__` does, and return RGB values `(H, W, 3)` of type uint8."""
        (pixels,) = self.stylize_batch([_photo(image).pixels], Look(stroke_size, strength, keep_colors, tile))
        return pixels

    def stylize_batch(self, photos: Sequence[Pixels], look: Look) -> list[Pixels]:
        """Stylize photos of one size, in one run of the network if memory allows.

        Args:
            photos: RGB values `(H, W, 3)` each.
            look: The settings.

        Raises:
            OutOfMemory: If the device has too little memory.
        """
        with memory_errors(self.engine.facts.device, "Use --max-size 1000, or a larger --stroke-size."):
            height, width = photos[0].shape[:2]
            scale = stroke_scale(look.stroke_size, width, height)
            if scale == 1:
                images = paint(self.engine, photos, look.tile)
            else:
                small = [reduced(photo, scale) for photo in photos]
                painted = paint(self.engine, small, look.tile)
                images = [restored(*sizes) for sizes in zip(painted, small, photos, strict=True)]
            return [
                finish(image, photo, strength=look.strength, keep_colors=look.keep_colors)
                for image, photo in zip(images, photos, strict=True)
            ]


def _photo(image: ImageLike) -> Photo:
    return as_photo(image, max_pixels=ApplyConfig.max_pixels)


def _joined(texts: Iterable[str]) -> str:
    return " and ".join(dict.fromkeys(filter(None, texts)))


def load_style(style: str | Path, *, device: str = "auto", engine: str = "auto", threads: int | None = None) -> Style:
    """Load a style, ready to stylize images.

    Args:
        style: A style's name (`stylekit styles list` shows them all), or a path to a style file or importable weights.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        engine: `torch`, `onnxruntime` (CPU only), or `auto` for the faster one on the device.
        threads: CPU threads; None leaves the choice to the engine.

    Raises:
        ConfigError: If the engine or device is unknown, the engine does not support the device, or `threads` is below
            1.
        StyleNotFound: If the style does not exist.
        StyleFileError: If the style file is corrupt.
        DeviceUnavailable: If the device is unavailable or out of memory.
    """
    return Style.from_file(load_style_file_by_name(str(style)), device=device, engine=engine, threads=threads)


def blend_styles(
    shares: Mapping[str, float] | Mapping[Path, float],
    *,
    device: str = "auto",
    engine: str = "auto",
    threads: int | None = None,
) -> Style:
    """Load several styles as a single style that mixes their results.

    Args:
        shares: The share of each style, by name or path; only their ratios matter.
        device: As in `load_style`.
        engine: As in `load_style`.
        threads: As in `load_style`.

    Raises:
        ConfigError: If a share is negative or not finite, or all are 0; or as in `load_style`.
        StyleNotFound: As in `load_style`.
        StyleFileError: As in `load_style`.
        DeviceUnavailable: As in `load_style`.
    """
    check_shares(list(shares.values()), len(shares))
    files = [load_style_file_by_name(str(style)) for style in shares]
    return Style.blended(files, list(shares.values()), device=device, engine=engine, threads=threads)

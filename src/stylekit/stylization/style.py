"""A style, ready to be put on photos."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from PIL import Image

from stylekit.config.checks import check_painting, check_shares
from stylekit.engines import build_engine
from stylekit.engines.blended import BlendedEngine
from stylekit.engines.protocol import Engine
from stylekit.images.photo import photo_to_image
from stylekit.images.pixels import Pixels
from stylekit.images.reading import photo_from_image
from stylekit.styles.library import load_style_file_by_name
from stylekit.styles.style_file import StyleFile, StyleMetadata
from stylekit.stylization.finishing import finished
from stylekit.stylization.strokes import reduced, restored, stroke_scale
from stylekit.stylization.tiling import paint
from stylekit.system.memory import memory_errors


class Style:
    """A trained style on a device.

    Attributes:
        metadata: name, artist, recipe and so on.
        engine: what runs its network.
    """

    def __init__(self, metadata: StyleMetadata, engine: Engine) -> None:
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
        """Prepare several loaded style files as one style, mixed; see `blend_styles`."""
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

    def __call__(
        self,
        photo: Image.Image,
        *,
        stroke_size: float | None = None,
        strength: float = 1.0,
        keep_colors: bool = False,
        tile: int | None = None,
    ) -> Image.Image:
        """Stylise a photo.

        Args:
            photo: of any mode; its EXIF orientation and colour profile are applied, its alpha channel kept.
            stroke_size: strokes in units of the network's own; None fits them to the photo.
            strength: share of the stylised picture in the result, 0 to 1.
            keep_colors: whether the photo's chroma is kept under the painting's luma.
            tile: side in pixels of the tiles in which it is painted; 0 paints it in one piece, None decides by the
                memory that is free. The result is the same.

        Returns:
            A picture of the (upright) photo's size: RGBA where the photo has transparency, else RGB.

        Raises:
            ConfigError: if `stroke_size` or `strength` is out of its range.
            ImageError: if the photo cannot be decoded.
            OutOfMemory: if the device has too little memory.
        """
        source = photo_from_image(photo)
        pixels = self.stylize(
            source.pixels, stroke_size=stroke_size, strength=strength, keep_colors=keep_colors, tile=tile
        )
        return photo_to_image(dataclasses.replace(source, pixels=pixels))

    def stylize(
        self,
        pixels: Pixels,
        *,
        stroke_size: float | None = None,
        strength: float = 1.0,
        keep_colors: bool = False,
        tile: int | None = None,
    ) -> Pixels:
        """Stylise `(H, W, 3)` RGB values; see `__call__`."""
        (picture,) = self.stylize_together(
            [pixels], stroke_size=stroke_size, strength=strength, keep_colors=keep_colors, tile=tile
        )
        return picture

    def stylize_together(
        self,
        photos: Sequence[Pixels],
        *,
        stroke_size: float | None = None,
        strength: float = 1.0,
        keep_colors: bool = False,
        tile: int | None = None,
    ) -> list[Pixels]:
        """Stylise photos of one size, `(H, W, 3)` each, in one run of the network if memory allows; see `__call__`."""
        check_painting(stroke_size, strength, tile)
        with memory_errors(self.engine.device, "Use --max-size 1000, or a larger --stroke-size."):
            scale = stroke_scale(stroke_size, photos[0])
            if scale == 1:
                pictures = paint(self.engine, photos, tile)
            else:
                small = [reduced(photo, scale) for photo in photos]
                painted = paint(self.engine, small, tile)
                pictures = [restored(*sizes) for sizes in zip(painted, small, photos, strict=True)]
            return [
                finished(picture, photo, strength=strength, keep_colors=keep_colors)
                for picture, photo in zip(pictures, photos, strict=True)
            ]


def _joined(texts: Iterable[str]) -> str:
    return " and ".join(dict.fromkeys(filter(None, texts)))


def load_style(style: str, *, device: str = "auto", engine: str = "auto", threads: int | None = None) -> Style:
    """Load a style, ready to be put on photos.

    Args:
        style: a style's name (`stylekit styles list` tells them), or a path to a style file or importable weights.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        engine: `torch`, `onnxruntime` (CPU), or `auto`: the fastest that fits the device.
        threads: CPU threads; None leaves the choice to the engine.

    Raises:
        StyleNotFound: if there is no such style.
        StyleFileError: if its file is damaged.
        DeviceUnavailable: if the device is missing or full.
    """
    return Style.from_file(load_style_file_by_name(str(style)), device=device, engine=engine, threads=threads)


def blend_styles(
    shares: Mapping[str, float], *, device: str = "auto", engine: str = "auto", threads: int | None = None
) -> Style:
    """Load several styles as one that paints their mixture.

    Args:
        shares: how much of each style, by name or path; only the ratios matter.
        device: see `load_style`.
        engine: likewise.
        threads: likewise.

    Raises:
        ConfigError: if a share is negative or not finite, or none is positive.
        StyleNotFound, StyleFileError, DeviceUnavailable: as `load_style`.
    """
    check_shares(list(shares.values()), len(shares))
    files = [load_style_file_by_name(str(style)) for style in shares]
    return Style.blended(files, list(shares.values()), device=device, engine=engine, threads=threads)

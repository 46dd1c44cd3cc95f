"""A style, ready to be put on photos."""

import dataclasses

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stylekit.device import memory_errors
from stylekit.engines import Engine, build_engine
from stylekit.images import photo_from_image, photo_to_image
from stylekit.library import load_style_file_by_name
from stylekit.style_file import StyleFile, StyleMetadata

Pixels = NDArray[np.uint8]

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


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
    def from_file(cls, file: StyleFile, *, device: str = "auto", threads: int | None = None) -> "Style":
        """Prepare a loaded style file; see `load_style`."""
        return cls(file.metadata, build_engine(file, device=device, threads=threads))

    def __call__(self, photo: Image.Image, *, strength: float = 1.0, keep_colors: bool = False) -> Image.Image:
        """Stylise a photo.

        Args:
            photo: of any mode; its EXIF orientation and colour profile are applied, its alpha channel kept.
            strength: share of the stylised picture in the result, 0 to 1.
            keep_colors: whether the photo's chroma is kept under the painting's luma.

        Returns:
            A picture of the (upright) photo's size: RGBA where the photo has transparency, else RGB.

        Raises:
            ImageError: if the photo cannot be decoded.
            OutOfMemory: if the device has too little memory.
        """
        source = photo_from_image(photo)
        pixels = self.stylize(source.pixels, strength=strength, keep_colors=keep_colors)
        return photo_to_image(dataclasses.replace(source, pixels=pixels))

    def stylize(self, pixels: Pixels, *, strength: float = 1.0, keep_colors: bool = False) -> Pixels:
        """Stylise `(H, W, 3)` RGB values; see `__call__`."""
        with memory_errors(self.engine.device, "Use --max-size to reduce the photo."):
            photo: NDArray[np.float32] = np.divide(pixels, 255, dtype=np.float32)
            picture = self.engine.run(photo[None])[0]
            return _to_bytes(_finish(photo, picture, strength, keep_colors))


def _finish(
    photo: NDArray[np.float32], picture: NDArray[np.float32], strength: float, keep_colors: bool
) -> NDArray[np.float32]:
    picture = picture.clip(0, 1, dtype=np.float32)
    if keep_colors:
        # Adding the difference of lumas to all three channels changes luma alone and leaves chroma as it was.
        picture = np.add(photo, ((picture - photo) @ _LUMA)[..., None], dtype=np.float32)
    if strength < 1:
        picture = np.add(photo, np.float32(strength) * (picture - photo), dtype=np.float32)
    return picture


def _to_bytes(picture: NDArray[np.float32]) -> Pixels:
    values: Pixels = np.rint(picture * np.float32(255)).clip(0, 255).astype(np.uint8)
    return values


def load_style(style: str, *, device: str = "auto", threads: int | None = None) -> Style:
    """Load a style, ready to be put on photos.

    Args:
        style: a style's name (`stylekit styles list` tells them), or a path to a style file or importable weights.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        threads: CPU threads; None leaves the choice to the engine.

    Raises:
        StyleNotFound: if there is no such style.
        StyleFileError: if its file is damaged.
        DeviceUnavailable: if the device is missing or full.
    """
    return Style.from_file(load_style_file_by_name(str(style)), device=device, threads=threads)

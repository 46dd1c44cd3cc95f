"""Style transfer by optimizing a single image (Gatys et al. 2015), from coarse to fine."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from torch import Tensor

from stylekit.config.gatys import STARTS, GatysConfig
from stylekit.downloads.announcement import OnDownload, ignore_download
from stylekit.errors import ImageError, OutOfMemory, TrainingDiverged
from stylekit.images.photo import Photo, photo_to_image
from stylekit.images.pixels import Pixels, round_to_bytes, to_bytes, to_floats
from stylekit.images.reading import ImageLike, as_painting, as_photo, photo_from_image
from stylekit.losses.layers import default_content_layers, default_style_layers
from stylekit.losses.networks import build_loss_network, highest_layer_of
from stylekit.losses.perceptual import Losses, PerceptualLoss
from stylekit.losses.weights import find_loss_weights, read_loss_weights
from stylekit.optimization.optimizers import Adam, ImageOptimizer, Lbfgs
from stylekit.optimization.scales import GatysReport, Size, StepCounter, coarse_to_fine, largest_side
from stylekit.stylization.finishing import finish
from stylekit.system.devices import select_device
from stylekit.system.memory import free_memory, memory_errors

_LEAST_PHOTO = 16  # pixels on each side: VGG-19 halves the size four times
_LEAST_PAINTING = 32
_FEATHER = 0.01  # radius of a mask's softened edges, relative to the longer side
_TOP_LAYER = "relu5_4"


def gatys(
    photo: ImageLike,
    paintings: Sequence[ImageLike] | ImageLike,
    config: GatysConfig | None = None,
    *,
    mask: ImageLike | None = None,
    on_step: Callable[[GatysReport], None] = lambda report: None,
    on_note: Callable[[str], None] = lambda note: None,
    on_image: Callable[[Image.Image], None] = lambda image: None,
    on_download: OnDownload = ignore_download,
) -> Image.Image:
    """Stylize one photo in the style of one or more paintings, by optimizing the image itself.

    Unlike in the paper, losses are relative, and the image is optimized from coarse to fine: each scale starts from the
    result of the previous scale.

    Args:
        photo: The content image, as a path, a Pillow image or RGB values `(H, W, 3)` of type uint8. Its orientation and
            color profile are applied, and its transparency is kept.
        paintings: One or more style images, in any of these forms.
        config: The settings.
        mask: An image of the photo's size: white where the photo is to be stylized, black where it stays unchanged.
        on_step: Called after each evaluation of the losses.
        on_note: Called with notes for the user.
        on_image: Called with the image so far every `config.save_every` steps, and when the optimization ends early.
        on_download: Called before the loss network's weights are downloaded.

    Returns:
        The stylized image, RGB or RGBA, reduced to `config.size` if the photo is larger, with the photo's metadata.

    Raises:
        ConfigError: If settings contradict each other.
        ImageError: If an image cannot be read or is too small, or the mask and the photo differ in size.
        LossWeightsError: If VGG-19's weights are missing, cannot be downloaded, or lack layers.
        DeviceUnavailable: If the device is unavailable or out of memory.
        OutOfMemory: If the image is too large for the device; the hint names a size that fits.
        TrainingDiverged: If the losses are no longer finite.
        KeyboardInterrupt: If the user interrupts the optimization. As for the previous two errors, `on_image` is called
            first.
    """
    config = config or GatysConfig()
    several = [paintings] if isinstance(paintings, str | Path | Image.Image | np.ndarray) else list(paintings)
    config.check_paintings(len(several))
    source, opacity = _read_masked(photo, mask, config)
    for note in source.notes:
        on_note(note)
    shape = height, width = source.pixels.shape[:2]
    if source.is_reduced:
        on_note(f"painting at {width} x {height} px; use --size to change that")
    _check_size(source.pixels, _LEAST_PHOTO, "photo")
    styles = [as_painting(painting, max_pixels=config.max_pixels).pixels for painting in several]
    for style in styles:
        _check_size(style, _LEAST_PAINTING, "painting")
    starts: dict[str, Pixels | None] = dict(zip(STARTS, (source.pixels, None, styles[0]), strict=True))
    start = starts[config.init] if config.init in STARTS else _read(config.init, config).pixels

    def complete(values: Tensor) -> Image.Image:
        pixels = finish(_pixels(values, shape), source.pixels, keep_colors=config.keep_colors)
        if opacity is not None:
            pixels = round_to_bytes(source.pixels + opacity[..., None] * (pixels - source.pixels.astype(np.float32)))
        metadata = dataclasses.replace(source.metadata, recipe=None)  # describes how the photo itself was painted
        return photo_to_image(dataclasses.replace(source, pixels=pixels, metadata=metadata))

    optimization = _Optimization(config, source.pixels, styles, opacity, on_note, on_download)
    try:
        return complete(optimization.run(start, on_step, lambda values: on_image(complete(values))))
    except (KeyboardInterrupt, OutOfMemory, TrainingDiverged):
        if optimization.best is not None:
            on_image(complete(optimization.best))
        raise


class _Optimization:
    """The images on their device, and the losses between them at each scale.

    Attributes:
        best: The image with the least loss so far at the current scale; None before the first step.
    """

    def __init__(
        self,
        config: GatysConfig,
        photo: Pixels,
        paintings: Sequence[Pixels],
        mask: NDArray[np.float32] | None,
        on_note: Callable[[str], None],
        on_download: OnDownload,
    ) -> None:
        self.best: Tensor | None = None
        self._config = config
        self._device = torch.device(select_device(config.device))
        file = find_loss_weights(config.loss_weights, config.loss_network, on_download=on_download)
        weights = read_loss_weights(file)
        highest = highest_layer_of(config.loss_network, weights)
        self._content_layers = config.content_layers or default_content_layers(highest)
        self._style_layers = config.style_layers or default_style_layers(highest)
        wanted_content = config.content_layers or default_content_layers(_TOP_LAYER)
        wanted_style = config.style_layers or default_style_layers(_TOP_LAYER)
        if (self._content_layers, self._style_layers) != (wanted_content, wanted_style):
            content, style = self._content_layers[-1], [*self._style_layers][-1]
            on_note(f"The loss network ends at {highest}: content at {content}, style up to {style}.")
        layers = {*self._content_layers, *self._style_layers}
        self._features = build_loss_network(config.loss_network, layers, weights, config.pooling)
        with memory_errors(str(self._device), self._advice(0, 0)):
            self._features.to(self._device)
        self._photo = photo
        self._paintings = paintings
        self._mask = None if mask is None else torch.from_numpy(mask)[None, None]
        self._optimizer: ImageOptimizer = Lbfgs() if config.optimizer == "lbfgs" else Adam(config.learning_rate)

    def _tensor(self, pixels: Pixels, size: Size) -> Tensor:
        """Return pixels as a tensor, resized by Pillow's best filter because sharpness is part of a style."""
        height, width = size
        resized = np.array(Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS))
        return torch.from_numpy(resized).to(self._device).permute(2, 0, 1)[None].float() / 255

    def run(
        self,
        start: Pixels | None,
        on_step: Callable[[GatysReport], None],
        on_image: Callable[[Tensor], None],
    ) -> Tensor:
        """Optimize the image at every scale, from a starting image or noise, and return the result of the last scale.

        Only the difference from the photo carries over to the next scale, which starts with all the photo's detail.
        """
        scales = coarse_to_fine(*self._photo.shape[:2], least=_LEAST_PHOTO)
        if start is None:
            noise = torch.rand(1, 3, *scales[0], generator=torch.Generator().manual_seed(self._config.seed))
            image = noise.to(self._device)
        else:
            image = self._tensor(start, scales[0])
        change = image - self._tensor(self._photo, scales[0])
        counter = StepCounter(scales, self._config.steps)
        fitting_side = 0
        for number, size in enumerate(scales, start=1):
            advice = self._advice(fitting_side, max(size))
            if self._device.type == "cuda":
                torch.cuda.reset_peak_memory_stats(self._device)  # the next advice depends on this scale's peak
            with memory_errors(str(self._device), advice):
                photo = self._tensor(self._photo, size)
                self._optimizer.restart((photo + _resized(change, size)).clamp(0, 1))

                least = math.inf

                def show(losses: Losses, number: int = number) -> None:
                    nonlocal least
                    report = counter.report(number, losses)
                    if report.total <= least or self.best is None:  # line searches also try worse images
                        least, self.best = report.total, self._optimizer.image
                    on_step(report)
                    if self._config.save_every and counter.steps_taken % self._config.save_every == 0:
                        on_image(self.best)

                self._optimizer.run(self._objective(photo), counter.steps[number - 1], show)
                change = self._optimizer.image - photo
            fitting_side = max(size)
        return self._optimizer.image

    def _objective(self, photo: Tensor) -> Callable[[Tensor], Losses]:
        """Return the losses as a function of an image of the photo's size."""
        config, size = self._config, (photo.shape[2], photo.shape[3])
        mask = None if self._mask is None else _resized(self._mask, size).clamp(0, 1).to(self._device)
        loss = PerceptualLoss(
            self._features,
            *(
                self._tensor(painting, _painting_size(painting, size, config.style_scale))
                for painting in self._paintings
            ),
            content_layers=self._content_layers,
            style_layers=self._style_layers,
            content_weight=config.content_weight,
            style_weight=config.style_weight,
            tv_weight=config.tv_weight,
            painting_weights=config.painting_weights,
            style_loss=config.style_loss,
            mask=mask,
        )
        content = loss.content_of(photo)

        def objective(image: Tensor) -> Losses:
            losses: Losses = loss(image if mask is None else torch.lerp(photo, image, mask), content)
            if not losses.total.isfinite():
                raise TrainingDiverged("The loss is no longer finite.", "Lower the weights or --lr.")
            return losses

        return objective

    def _advice(self, fitting_side: int, side: int) -> str:
        """Return the hint for running out of memory.

        Args:
            fitting_side: Longer side in pixels of the largest scale that fitted; 0 if none did.
            side: Longer side in pixels of the scale that does not fit.
        """
        if not fitting_side:
            return "Use a smaller --size, or --device cpu."
        if self._device.type == "cuda":
            peak = torch.cuda.max_memory_allocated(self._device)
            room = free_memory(str(self._device)) + torch.cuda.memory_allocated(self._device)
            fitting_side = largest_side(fitting_side, peak, room, below=side)
        return f"--size {fitting_side} would fit."


def _painting_size(painting: Pixels, size: Size, scale: float) -> Size:
    """Return the size at which a painting has as many pixels as an image of `size`, times the scale squared."""
    height, width = painting.shape[:2]
    factor = scale * (size[0] * size[1] / (height * width)) ** 0.5
    return max(_LEAST_PHOTO, round(height * factor)), max(_LEAST_PHOTO, round(width * factor))


def _resized(values: Tensor, size: Size) -> Tensor:
    return values if values.shape[2:] == size else F.interpolate(values, size, mode="bicubic", antialias=True)


def _pixels(values: Tensor, size: Size) -> Pixels:
    return to_bytes(_resized(values, size)[0].permute(1, 2, 0).cpu().numpy())


def _read(image: ImageLike, config: GatysConfig, max_size: int | None = None) -> Photo:
    return as_photo(image, max_pixels=config.max_pixels, max_size=max_size)


def _check_size(pixels: Pixels, least: int, what: str) -> None:
    height, width = pixels.shape[:2]
    if min(height, width) < least:
        raise ImageError(
            f"The {what} is too small: {width} x {height} px.", f"Use one with at least {least} px on each side."
        )


def _read_masked(
    photo: ImageLike, mask: ImageLike | None, config: GatysConfig
) -> tuple[Photo, NDArray[np.float32] | None]:
    """Return the photo at the result's size, and the mask in [0, 1] at the same size, with softened edges."""
    if mask is None:
        return _read(photo, config, max_size=config.size), None
    whole, pixels = _read(photo, config), _read(mask, config).pixels
    if pixels.shape != whole.pixels.shape:
        sides = " and ".join(f"{p.shape[1]} x {p.shape[0]} px" for p in (pixels, whole.pixels))
        raise ImageError(f"Mask and photo differ in size: {sides}.", "Use a mask of the size of the upright photo.")
    reduced = photo_from_image(photo_to_image(whole), max_size=config.size)
    size = reduced.pixels.shape[1], reduced.pixels.shape[0]
    image = Image.fromarray(pixels).convert("L").resize(size, Image.Resampling.LANCZOS)
    feathered = image.filter(ImageFilter.GaussianBlur(_FEATHER * max(size)))
    return dataclasses.replace(reduced, notes=whole.notes), to_floats(np.asarray(feathered))

"""Style transfer by optimising a single picture (Gatys et al. 2015), from coarse to fine."""

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
from stylekit.errors import ImageError, OutOfMemory, TrainingDiverged
from stylekit.images.photo import Photo, photo_to_image
from stylekit.images.pixels import Pixels, to_bytes
from stylekit.images.reading import load_photo, photo_from_image
from stylekit.losses.layers import default_content_layers, default_style_layers
from stylekit.losses.networks import build_loss_network, highest_layer_of
from stylekit.losses.perceptual import Losses, PerceptualLoss
from stylekit.losses.weights import find_loss_weights, read_loss_weights
from stylekit.optimization.optimizers import Adam, Descent, Lbfgs
from stylekit.optimization.scales import GatysReport, Progress, Size, coarse_to_fine, largest_side
from stylekit.stylization.finishing import finished
from stylekit.system.devices import select_device
from stylekit.system.memory import free_memory, memory_errors

Picture = Image.Image | Path | str

_LEAST_PHOTO = 16  # pixels, either side: VGG-19 halves four times
_LEAST_PAINTING = 32
_FEATHER = 0.01  # radius of a mask's softened edges, of the longer side
_TOP_LAYER = "relu5_4"


def gatys(
    photo: Picture,
    paintings: Sequence[Picture] | Picture,
    config: GatysConfig | None = None,
    *,
    mask: Picture | None = None,
    on_step: Callable[[GatysReport], None] = lambda report: None,
    on_note: Callable[[str], None] = lambda note: None,
    on_picture: Callable[[Image.Image], None] = lambda picture: None,
) -> Image.Image:
    """Paint a photo in the style of a painting, or of several, by optimising the picture itself.

    Departs from the paper: relative losses, from coarse to fine, each scale starting from the last.

    Args:
        photo: a Pillow image or a file. Its orientation and colour profile are applied, its alpha channel kept.
        paintings: one or several, likewise.
        config: settings.
        mask: white where the photo is to be painted, black where it is to stay; of the photo's size.
        on_step: called after each evaluation of the losses.
        on_note: called with what is worth knowing once.
        on_picture: called with the picture so far every `config.save_every` steps, and when it ends early.

    Returns:
        The picture, of `config.size` or the photo's size, RGB or RGBA, with the photo's metadata.

    Raises:
        ConfigError: if settings contradict each other.
        ImageError: if a picture cannot be read, is too small, or the mask has another size.
        LossWeightsError: if VGG-19's weights are absent or do not reach the layers.
        DeviceUnavailable: if the device is missing or full.
        OutOfMemory: if the picture is too large for the device; the hint names a size that fits.
        TrainingDiverged: if the losses are no longer finite.
        KeyboardInterrupt: as it came, after `on_picture`, as after `OutOfMemory` and `TrainingDiverged`.
    """
    config = config or GatysConfig()
    several = [paintings] if isinstance(paintings, Image.Image | Path | str) else list(paintings)
    config.check_paintings(len(several))
    source = _read(photo, config, max_size=config.size)
    for note in source.notes:
        on_note(note)
    _check_size(source.pixels, _LEAST_PHOTO, "photo")
    styles = [_read(painting, config).pixels for painting in several]
    for style in styles:
        _check_size(style, _LEAST_PAINTING, "painting")
    shape = source.pixels.shape[:2]
    opacity = None if mask is None else _read_mask(mask, photo, shape, config)
    starts: dict[str, Pixels | None] = dict(zip(STARTS, (source.pixels, None, styles[0]), strict=True))
    start = starts[config.init] if config.init in STARTS else _read(Path(config.init), config).pixels

    def complete(picture: Tensor) -> Image.Image:
        pixels = finished(_pixels(picture, shape), source.pixels, keep_colors=config.keep_colors)
        if opacity is not None:
            pixels = to_bytes(source.pixels + opacity[..., None] * (pixels - source.pixels.astype(np.float32)))
        return photo_to_image(dataclasses.replace(source, pixels=pixels))

    run = _Run(config, source.pixels, styles, opacity, on_note)
    try:
        return complete(run.optimise(start, on_step, lambda picture: on_picture(complete(picture))))
    except (KeyboardInterrupt, OutOfMemory, TrainingDiverged):
        if run.picture is not None:
            on_picture(complete(run.picture))
        raise


class _Run:
    """The pictures on their device, and the losses between them at each scale."""

    def __init__(
        self,
        config: GatysConfig,
        photo: Pixels,
        paintings: Sequence[Pixels],
        mask: NDArray[np.float32] | None,
        on_note: Callable[[str], None],
    ) -> None:
        self.config = config
        self.device = torch.device(select_device(config.device))
        weights = read_loss_weights(find_loss_weights(config.loss_weights, config.loss_network))
        reach = highest_layer_of(config.loss_network, weights)
        self.content_layers = config.content_layers or default_content_layers(reach)
        self.style_layers = config.style_layers or default_style_layers(reach)
        wanted_content = config.content_layers or default_content_layers(_TOP_LAYER)
        wanted_style = config.style_layers or default_style_layers(_TOP_LAYER)
        if (self.content_layers, self.style_layers) != (wanted_content, wanted_style):
            content, style = self.content_layers[-1], [*self.style_layers][-1]
            on_note(f"The loss network reaches up to {reach}: content at {content}, style up to {style}.")
        layers = {*self.content_layers, *self.style_layers}
        self.features = build_loss_network(config.loss_network, layers, weights, config.pooling)
        with memory_errors(str(self.device), self._advice(0, 0)):
            self.features.to(self.device)
        self.photo = photo
        self.paintings = paintings
        self.mask = None if mask is None else torch.from_numpy(mask)[None, None]
        self.descent: Descent = Lbfgs() if config.optimizer == "lbfgs" else Adam(config.learning_rate)
        self.picture: Tensor | None = None  # so far

    def _tensor(self, pixels: Pixels, size: Size) -> Tensor:
        """A picture at another size. Its sharpness is part of its style, so Pillow's best filter is taken."""
        height, width = size
        resized = np.array(Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS))
        return torch.from_numpy(resized).to(self.device).permute(2, 0, 1)[None].float() / 255

    def optimise(
        self,
        start: Pixels | None,
        on_step: Callable[[GatysReport], None],
        on_picture: Callable[[Tensor], None],
    ) -> Tensor:
        """Go through all scales, from a picture or from noise, and return the last one's picture.

        A scale starts from what the last one has changed of the photo: the photo's own detail is there at once.
        """
        scales = coarse_to_fine(*self.photo.shape[:2], least=_LEAST_PHOTO)
        if start is None:
            noise = torch.rand(1, 3, *scales[0], generator=torch.Generator().manual_seed(self.config.seed))
            picture = noise.to(self.device)
        else:
            picture = self._tensor(start, scales[0])
        change = picture - self._tensor(self.photo, scales[0])
        progress = Progress(scales, self.config.steps)
        fits = 0
        for number, size in enumerate(scales, start=1):
            advice = self._advice(fits, max(size))
            if self.device.type == "cuda":
                torch.cuda.reset_peak_memory_stats(self.device)  # the next advice is by what this scale takes
            with memory_errors(str(self.device), advice):
                photo = self._tensor(self.photo, size)
                self.descent.resize((photo + _scaled(change, size)).clamp(0, 1))

                least = math.inf

                def show(losses: Losses, number: int = number) -> None:
                    nonlocal least
                    report = progress.report(number, losses)
                    if report.total <= least or self.picture is None:  # line searches try worse ones too
                        least, self.picture = report.total, self.descent.picture
                    on_step(report)
                    if self.config.save_every and progress.steps_taken % self.config.save_every == 0:
                        on_picture(self.picture)

                self.descent.run(self._objective(photo), progress.steps[number - 1], show)
                change = self.descent.picture - photo
            fits = max(size)
        return self.descent.picture

    def _objective(self, photo: Tensor) -> Callable[[Tensor], Losses]:
        """The losses of a picture of this photo's size."""
        config, size = self.config, (photo.shape[2], photo.shape[3])
        mask = None if self.mask is None else _scaled(self.mask, size).clamp(0, 1).to(self.device)
        loss = PerceptualLoss(
            self.features,
            *(
                self._tensor(painting, _painting_size(painting, size, config.style_scale))
                for painting in self.paintings
            ),
            content_layers=self.content_layers,
            style_layers=self.style_layers,
            content_weight=config.content_weight,
            style_weight=config.style_weight,
            tv_weight=config.tv_weight,
            painting_weights=config.painting_weights,
            style_loss=config.style_loss,
            mask=mask,
        )
        content = loss.content_of(photo)

        def objective(picture: Tensor) -> Losses:
            losses: Losses = loss(picture if mask is None else torch.lerp(photo, picture, mask), content)
            if not losses.total.isfinite():
                raise TrainingDiverged("The loss is no longer finite.", "Lower the weights or the learning rate.")
            return losses

        return objective

    def _advice(self, fits: int, size: int) -> str:
        """What to do when memory runs out at a picture of this longer side, where one of the other has just fitted."""
        if not fits:
            return "Use a smaller --size, or --device cpu."
        if self.device.type == "cuda":
            peak = torch.cuda.max_memory_allocated(self.device)
            room = free_memory(str(self.device)) + torch.cuda.memory_allocated(self.device)
            fits = largest_side(fits, peak, room, below=size)
        return f"--size {fits} would fit."


def _painting_size(painting: Pixels, size: Size, scale: float) -> Size:
    """The size at which a painting has as many pixels as the picture, times the scale squared."""
    height, width = painting.shape[:2]
    factor = scale * (size[0] * size[1] / (height * width)) ** 0.5
    return max(_LEAST_PHOTO, round(height * factor)), max(_LEAST_PHOTO, round(width * factor))


def _scaled(values: Tensor, size: Size) -> Tensor:
    return values if values.shape[2:] == size else F.interpolate(values, size, mode="bicubic", antialias=True)


def _pixels(picture: Tensor, size: Size) -> Pixels:
    return to_bytes((_scaled(picture, size)[0].permute(1, 2, 0).cpu() * 255).numpy())


def _read(picture: Picture, config: GatysConfig, max_size: int | None = None) -> Photo:
    if isinstance(picture, Image.Image):
        return photo_from_image(picture, max_size=max_size)
    return load_photo(Path(picture), max_pixels=config.max_pixels, max_size=max_size)


def _check_size(pixels: Pixels, least: int, what: str) -> None:
    height, width = pixels.shape[:2]
    if min(height, width) < least:
        raise ImageError(f"The {what} is too small: {width} x {height} px.", f"It needs {least} px on each side.")


def _read_mask(mask: Picture, photo: Picture, size: Size, config: GatysConfig) -> NDArray[np.float32]:
    """The mask in [0, 1] at the picture's size, its edges softened."""
    pixels, whole = _read(mask, config).pixels, _read(photo, config).pixels
    if pixels.shape != whole.shape:
        sides = " and ".join(f"{p.shape[1]} x {p.shape[0]} px" for p in (pixels, whole))
        raise ImageError(f"Mask and photo differ in size: {sides}.", "The mask must be as large as the upright photo.")
    image = Image.fromarray(pixels).convert("L").resize((size[1], size[0]), Image.Resampling.LANCZOS)
    feathered = image.filter(ImageFilter.GaussianBlur(_FEATHER * max(size)))
    return np.asarray(feathered, np.float32) / np.float32(255)

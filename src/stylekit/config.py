"""Every setting and its default, once. The command line reads its defaults from here."""

import dataclasses
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from stylekit.architectures import check_loss_layers, complete_config
from stylekit.errors import ConfigError

DEVICE_PATTERN = re.compile(r"auto|cpu|mps|cuda(:\d+)?")
DEFAULT_STYLE = "starry-night"
STYLE_NAME_PATTERN = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
CODECS = ("auto", "h264", "hevc", "vp9")
ENGINES = ("auto", "torch", "onnxruntime")
PRECISIONS = ("auto", "float32", "bfloat16")
POOLINGS = ("max", "avg")
COMMAND_JOBS = max(1, min(8, (os.cpu_count() or 1) // 2))  # `ApplyConfig.jobs` of the command line
LEAST_TILE = 64  # px: smaller ones would consist of their surroundings
OPTIMIZERS = ("lbfgs", "adam")
STYLE_LOSSES = ("gram", "moments")
STARTS = ("content", "noise", "style")  # of `gatys`, besides files


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(message)


def check_style_name(name: str) -> str:
    """Return `name` if it can name a style.

    Raises:
        ConfigError: if it does not match `[a-z0-9][a-z0-9_-]{0,63}`.
    """
    if not STYLE_NAME_PATTERN.fullmatch(name):
        raise ConfigError(
            f"{name!r} cannot name a style.",
            "Use up to 64 lower-case letters, digits, '-' and '_', beginning with a letter or digit.",
        )
    return name


def check_device(device: str) -> str:
    """Return `device` if it is a device's name.

    Raises:
        ConfigError: if it is none of `auto`, `cpu`, `cuda`, `cuda:N`, `mps`.
    """
    if not DEVICE_PATTERN.fullmatch(device):
        raise ConfigError(f"Unknown device {device!r}.", "Use auto, cpu, cuda, cuda:N or mps.")
    return device


def check_engine(engine: str, device: str, threads: int | None) -> None:
    """Make sure that a network can be run so.

    Raises:
        ConfigError: if there is no such engine or device, the engine cannot run on it, or there are no threads.
    """
    _require(engine in ENGINES, f"engine must be {', '.join(ENGINES)}, not {engine!r}.")
    _require(threads is None or threads >= 1, f"threads must be 1 or more, not {threads}.")
    if engine == "onnxruntime" and check_device(device) not in ("auto", "cpu"):
        raise ConfigError("The engine onnxruntime runs on the CPU.", "Leave out --engine, or use --device cpu.")


def check_quality(quality: int) -> None:
    """Make sure that pictures can be written at this quality.

    Raises:
        ConfigError: if it is out of its range.
    """
    _require(1 <= quality <= 100, f"quality must lie between 1 and 100, not {quality}.")


def check_painting(stroke_size: float | None, strength: float, tile: int | None = None) -> None:
    """Make sure that a style can be put on a photo so.

    Raises:
        ConfigError: if one of them is out of its range.
    """
    _require(
        stroke_size is None or 0.1 <= stroke_size <= 100,
        f"stroke size must lie between 0.1 and 100, or be auto, not {stroke_size}.",
    )
    _require(0 <= strength <= 1, f"strength must lie between 0 and 1, not {strength:g}.")
    _require(
        tile is None or tile == 0 or tile >= LEAST_TILE,
        f"tiles must have a side of {LEAST_TILE} px or more, or be auto or off, not {tile}.",
    )


def check_shares(shares: Sequence[float], styles: int) -> None:
    """Make sure that so many styles can be mixed in these proportions.

    Raises:
        ConfigError: if a share is missing, negative or not finite, or none is positive.
    """
    if len(shares) != styles:
        raise ConfigError(f"A blend of {styles} styles needs as many shares, not {len(shares)}.")
    if not all(share >= 0 for share in shares) or not 0 < sum(shares) < float("inf"):
        raise ConfigError(
            "A blend's shares must be numbers of 0 or more, not all 0.", "Write them as --style starry-night:0.7."
        )


def check_losses(
    network: str,
    content_layers: Sequence[str],
    style_layers: Mapping[str, float],
    pooling: str,
    weights: str | None,
) -> None:
    """Make sure that a loss network can give such losses.

    Raises:
        ConfigError: if there is no such network, it lacks a layer, a layer's weight is negative or not finite, or the
            compact network is to have other pooling or weights than its own.
    """
    check_loss_layers([*content_layers, *style_layers], network)
    _require(
        all(0 <= weight < float("inf") for weight in style_layers.values()),
        "style layer weights must be finite numbers of 0 or more.",
    )
    _require(pooling in POOLINGS, f"pooling must be max or avg, not {pooling!r}.")
    if network == "compact" and (pooling != "max" or weights is not None):
        raise ConfigError(
            "The compact loss network has its own weights, made for max pooling.",
            "Leave out --pooling and --loss-weights, or add --loss-network vgg19.",
        )


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
        steady: how much of a film's last picture stays where the scene has not changed, 0 to 1.
        codec: what films are coded by (`h264`, `hevc`, `vp9`); `auto` leaves it to the kind of file.
        crf: constant rate factor of films, 0 to 63, lower is better; None takes the codec's usual.
        fps: frames a second of films; None keeps each frame's time.
        start: second from which on films are taken.
        end: second up to which films are taken; None goes to the end.
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
        self._check_films()

    def _check_films(self) -> None:
        _require(0 <= self.steady <= 1, f"steady must lie between 0 and 1, not {self.steady:g}.")
        _require(self.codec in CODECS, f"codec must be one of {', '.join(CODECS)}, not {self.codec!r}.")
        _require(self.crf is None or 0 <= self.crf <= 63, f"crf must lie between 0 and 63, not {self.crf}.")
        _require(self.fps is None or 1 <= self.fps <= 1000, f"fps must lie between 1 and 1000, not {self.fps}.")
        _require(0 <= self.start < float("inf"), f"start must be 0 or more, not {self.start:g}.")
        _require(self.end is None or self.start < self.end < float("inf"), f"end must lie after start, not {self.end}.")


@dataclass(frozen=True)
class TrainConfig:
    """Settings of `train`; the defaults are those of the preset `good`.

    Attributes:
        network: transformer network, `fast` or `johnson`.
        steps: optimiser steps.
        batch_size: photos a step.
        crop_size: side of the square training crops, in pixels.
        style_size: shorter side to which the painting is scaled, in pixels.
        octaves: at how many sizes (each half the last) the styles are compared; more give larger strokes.
        content_layers: layers of the content loss.
        style_layers: layers of the style loss with their weights; empty takes relu1_1 to relu5_1, as far as the
            loss weights reach, all with weight 1.
        content_weight: weight of the relative content loss.
        style_weight: weight of the relative style loss.
        tv_weight: weight of the total variation.
        stability_weight: weight of the flicker term (the same output for a photo with slight noise); 0 leaves it out.
        learning_rate: peak of the one-cycle schedule.
        pooling: `max` or `avg` pooling in the loss network.
        precision: `auto` (bfloat16 on CUDA, else float32), `float32` or `bfloat16`.
        seed: seed of weights and crops.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        loss_network: `vgg19`, or `compact`, which the package ships.
        loss_weights: file with VGG-19's weights; None takes the cache's, downloaded if need be.
        init_from: name or file of a finished style to start from; `nearest` is the bundled one whose pictures are
            nearest to the painting, `none` starts from fresh weights.
    """

    network: str = "fast"
    steps: int = 1500
    batch_size: int = 2
    crop_size: int = 224
    style_size: int = 512
    octaves: int = 2
    content_layers: tuple[str, ...] = ("relu3_3",)
    style_layers: dict[str, float] = field(default_factory=dict)
    content_weight: float = 1.0
    style_weight: float = 20.0
    tv_weight: float = 0.05
    stability_weight: float = 0.0
    learning_rate: float = 2e-3
    pooling: str = "max"
    precision: str = "auto"
    seed: int = 0
    device: str = "auto"
    loss_network: str = "vgg19"
    loss_weights: str | None = None
    init_from: str = "nearest"

    def __post_init__(self) -> None:
        check_device(self.device)
        for name, least in {
            "seed": 0,
            "steps": 1,
            "batch_size": 1,
            "crop_size": 32,
            "style_size": 32,
            "octaves": 1,
        }.items():
            _require(getattr(self, name) >= least, f"{name} must be {least} or more, not {getattr(self, name)}.")
        for name in ("content_weight", "style_weight", "tv_weight", "stability_weight", "learning_rate"):
            value = getattr(self, name)
            _require(0 <= value < float("inf"), f"{name} must be a finite number of 0 or more, not {value:g}.")
        _require(self.learning_rate > 0, "learning_rate must be more than 0.")
        _require(self.octaves <= 4, f"octaves must be 4 or less, not {self.octaves}.")
        complete_config(self.network, {})
        check_losses(self.loss_network, self.content_layers, self.style_layers, self.pooling, self.loss_weights)
        _require(self.precision in PRECISIONS, f"precision must be one of {', '.join(PRECISIONS)}.")
        _require(bool(self.content_layers), "at least one content layer is needed.")
        _require(
            self.style_size // 2 ** (self.octaves - 1) >= 16,
            f"style_size {self.style_size} is too small for {self.octaves} octaves.",
        )
        smallest = self.crop_size // 2 ** (self.octaves - 1)
        _require(smallest >= 32, f"crop_size {self.crop_size} is too small for {self.octaves} octaves.")

    @classmethod
    def from_preset(cls, preset: str, **changes: Any) -> Self:
        """Return the preset's settings with `changes` on top.

        Raises:
            ConfigError: if there is no such preset, or a value is out of range.
        """
        if preset not in TRAIN_PRESETS:
            raise ConfigError(f"Unknown preset {preset!r}.", f"Use one of {', '.join(TRAIN_PRESETS)}.")
        return cls(**{**TRAIN_PRESETS[preset], **changes})

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Rebuild a configuration from `to_dict`'s result; unknown keys are passed over."""
        known = {f.name for f in dataclasses.fields(cls)}
        kept = {key: value for key, value in values.items() if key in known}
        if kept.get("init_from", "") is None:  # as it was written when fresh weights were the default
            kept["init_from"] = "none"
        if "content_layers" in kept:
            kept["content_layers"] = tuple(kept["content_layers"])
        return cls(**kept)

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as JSON's types."""
        return {**dataclasses.asdict(self), "content_layers": list(self.content_layers)}


TRAIN_PRESETS: dict[str, dict[str, Any]] = {
    "draft": {"steps": 400, "crop_size": 192},
    "good": {},
    "best": {"steps": 8000, "batch_size": 4, "crop_size": 256},
}


@dataclass(frozen=True)
class GatysConfig:
    """Settings of `gatys`.

    Attributes:
        size: longer side of the result in pixels; smaller photos keep their size.
        steps: evaluations of the losses at the last scale; each coarser one has half as many, but a quarter at least.
        optimizer: `lbfgs` or `adam`.
        learning_rate: Adam's step, in units of the pixels' range.
        init: what is optimised at first: `content` (the photo), `noise`, `style` (the first painting), or a file.
        painting_weights: how much each painting counts; empty lets all count the same.
        style_scale: side of the paintings in units of the picture's; larger gives larger strokes.
        style_loss: `moments` (mean and covariance), or `gram` matrices.
        content_layers: layers of the content loss; empty takes relu4_2, or the highest that the loss weights reach.
        style_layers: layers of the style loss with their weights; empty takes relu1_1 to relu5_1, as far as the
            loss weights reach, all with weight 1.
        content_weight: weight of the relative content loss.
        style_weight: weight of the relative style loss.
        tv_weight: weight of the total variation.
        pooling: `max` or `avg` pooling in the loss network.
        keep_colors: whether the photo's chroma is kept under the painting's luma.
        save_every: steps between two pictures so far; 0 gives none but the last.
        seed: seed of `init` noise.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        loss_network: `vgg19`, or `compact`, which the package ships.
        loss_weights: file with VGG-19's weights; None takes the cache's, downloaded if need be.
        max_pixels: pixels above which a picture is taken for a decompression bomb.
    """

    size: int = 512
    steps: int = 100
    optimizer: str = "lbfgs"
    learning_rate: float = 0.02
    init: str = "content"
    painting_weights: tuple[float, ...] = ()
    style_scale: float = 1.0
    style_loss: str = "moments"
    content_layers: tuple[str, ...] = ()
    style_layers: dict[str, float] = field(default_factory=dict)
    content_weight: float = 1.0
    style_weight: float = 20.0
    tv_weight: float = 0.05
    pooling: str = "max"
    keep_colors: bool = False
    save_every: int = 0
    seed: int = 0
    device: str = "auto"
    loss_network: str = "vgg19"
    loss_weights: str | None = None
    max_pixels: int = 500_000_000

    def __post_init__(self) -> None:
        check_device(self.device)
        for name, least in {"size": 16, "steps": 1, "save_every": 0, "seed": 0, "max_pixels": 1}.items():
            _require(getattr(self, name) >= least, f"{name} must be {least} or more, not {getattr(self, name)}.")
        for name in ("content_weight", "style_weight", "tv_weight", "learning_rate"):
            value = getattr(self, name)
            _require(0 <= value < float("inf"), f"{name} must be a finite number of 0 or more, not {value:g}.")
        _require(self.learning_rate > 0, "learning_rate must be more than 0.")
        _require(0.1 <= self.style_scale <= 10, f"style_scale must lie between 0.1 and 10, not {self.style_scale:g}.")
        for name, choices in {"optimizer": OPTIMIZERS, "style_loss": STYLE_LOSSES}.items():
            value = getattr(self, name)
            _require(value in choices, f"{name} must be {' or '.join(choices)}, not {value!r}.")
        check_losses(self.loss_network, self.content_layers, self.style_layers, self.pooling, self.loss_weights)
        weights = self.painting_weights
        _require(
            not weights or (all(0 <= weight < float("inf") for weight in weights) and sum(weights) > 0),
            "painting weights must be finite numbers of 0 or more, not all 0.",
        )

    def check_paintings(self, number: int) -> None:
        """Make sure that so many paintings have their weights.

        Raises:
            ConfigError: if there are none, or their weights are more or fewer.
        """
        if number == 0 or len(self.painting_weights or [1] * number) != number:
            raise ConfigError(
                f"There are {number} paintings and {len(self.painting_weights)} weights.",
                "Name one painting or more, and a weight for each or for none.",
            )


def parse_layers(text: str) -> dict[str, float]:
    """Read layers with optional weights: `relu1_1,relu2_1:0.5` gives `{"relu1_1": 1.0, "relu2_1": 0.5}`.

    Raises:
        ConfigError: if a weight is no number.
    """
    layers = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, weight = part.partition(":")
        try:
            layers[name.strip()] = float(weight or 1)
        except ValueError:
            raise ConfigError(f"{weight!r} is not a layer's weight.", "Write layers as relu1_1,relu2_1:0.5.") from None
    return layers

"""The settings of `stylekit train`."""

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any, Self

from stylekit.config.checks import check_choice, check_losses, check_minimum, check_range, option_of, require
from stylekit.networks import architecture
from stylekit.system.devices import check_device

PRECISIONS = ("auto", "float32", "bfloat16")
TRAIN_STYLE_LOSSES = ("pooled", "gram")

_SMALLEST_CROP = 32  # px, at the coarsest octave
_SMALLEST_PAINTING = 16  # px, at the coarsest octave: relu5_1 reduces them to a single pixel


@dataclass(frozen=True)
class TrainConfig:
    """Settings of `train_style` and `stylekit train`. The defaults are the preset `good`.

    Attributes:
        network: Architecture of the style network: `unet`, `fast` or `johnson`.
        steps: Number of optimizer steps.
        minutes: Training time. The number of steps follows from the measured speed; None uses `steps`.
        batch_size: Number of photos per step.
        crop_size: Side in pixels of the square crops of training photos.
        style_size: Length in pixels to which the shorter side of the painting is scaled.
        octaves: Number of scales, each half the size of the previous one, at which styles are compared. More octaves
            give larger strokes.
        content_layers: Layers of the content loss; empty uses relu3_3 and relu4_2, or the highest layers
            below that the loss network has.
        style_layers: Layers of the style loss with their weights; empty uses the layers among relu1_1, relu2_1, …,
            relu5_1 that the loss network has. They have weight 1 for `gram`; for `pooled`, the layers that respond most
            to brush strokes have more weight.
        style_loss: `pooled` compares Gram matrices averaged over many photos with those of the painting; `gram`
            compares the Gram matrices of each photo.
        content_weight: Weight of the relative content loss.
        style_weight: Weight of the relative style loss.
        tv_weight: Weight of the total variation loss.
        stability_weight: Weight of the stability loss, which reduces flicker: slight noise in a photo should not
            change the result. 0 turns it off.
        learning_rate: Largest learning rate of the one-cycle schedule.
        pooling: Pooling in the loss network, `max` or `avg`.
        precision: `float32`, `bfloat16`, or `auto`, which uses bfloat16 on CUDA and on CPUs with instructions for it,
            and float32 elsewhere.
        seed: Seed of the random numbers for initial weights and crops.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        loss_network: `vgg19`, or `compact`, which is bundled.
        loss_weights: VGG-19 weights file; None uses cached weights, which are downloaded if necessary.
        init_from: Name or file of a trained style to start from. `nearest` is the bundled style most similar to the
            painting; `none` starts from random weights.
    """

    network: str = "unet"
    steps: int = 1500
    minutes: float | None = None
    batch_size: int = 2
    crop_size: int = 256
    style_size: int = 512
    octaves: int = 2
    content_layers: tuple[str, ...] = ()
    style_layers: dict[str, float] = field(default_factory=dict)
    style_loss: str = "pooled"
    content_weight: float = 3.0
    style_weight: float = 10.0
    tv_weight: float = 0.02
    stability_weight: float = 0.0
    learning_rate: float = 1.5e-3
    pooling: str = "max"
    precision: str = "auto"
    seed: int = 0
    device: str = "auto"
    loss_network: str = "vgg19"
    loss_weights: str | None = None
    init_from: str = "nearest"

    def __post_init__(self) -> None:
        """Check every setting."""
        check_device(self.device)
        minimums = {"seed": 0, "steps": 1, "batch_size": 1, "crop_size": _SMALLEST_CROP, "style_size": 32}
        weights = ("content_weight", "style_weight", "tv_weight", "stability_weight", "learning_rate")
        for setting, least in {**minimums, **dict.fromkeys(weights, 0)}.items():
            check_minimum(setting, getattr(self, setting), least)
        require(self.learning_rate > 0, "--lr must be greater than 0.")
        require(self.minutes is None or 0 < self.minutes < math.inf, "--minutes must be greater than 0.")
        check_range("octaves", self.octaves, 1, 4)
        architecture(self.network).complete({})
        check_losses(self.loss_network, self.content_layers, self.style_layers, self.pooling, self.loss_weights)
        check_choice("precision", self.precision, PRECISIONS)
        check_choice("style_loss", self.style_loss, TRAIN_STYLE_LOSSES)
        for setting, smallest in {"style_size": _SMALLEST_PAINTING, "crop_size": _SMALLEST_CROP}.items():
            size, needed = getattr(self, setting), smallest * 2 ** (self.octaves - 1)
            require(
                size >= needed,
                f"{option_of(setting)} {size} is too small for {self.octaves} octaves.",
                f"Use {option_of(setting)} {needed} or more, or fewer --octaves.",
            )

    @classmethod
    def from_preset(cls, preset: str, **changes: Any) -> Self:
        """Return the settings of a preset, with optional changes.

        Args:
            preset: `draft`, `good` or `best`.
            **changes: Settings that replace those of the preset.

        Raises:
            ConfigError: If the preset is unknown or a value is out of range.
        """
        check_choice("preset", preset, TRAIN_PRESETS)
        return cls(**{**TRAIN_PRESETS[preset], **changes})

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Create settings from the result of `to_dict`. Unknown keys are ignored.

        Raises:
            ConfigError: If a value is out of range.
        """
        names = {f.name for f in dataclasses.fields(cls)}
        known = {key: value for key, value in values.items() if key in names}
        if known.get("init_from", "") is None:  # older versions wrote None for random weights
            known["init_from"] = "none"
        known.setdefault("style_loss", "gram")  # older versions had no other style loss
        if "content_layers" in known:
            known["content_layers"] = tuple(known["content_layers"])
        return cls(**known)

    def to_dict(self) -> dict[str, Any]:
        """Convert the settings to a dictionary of JSON types."""
        return {**dataclasses.asdict(self), "content_layers": list(self.content_layers)}


TRAIN_PRESETS: dict[str, dict[str, Any]] = {
    "draft": {"steps": 400, "crop_size": 192},
    "good": {},
    "best": {"steps": 8000, "batch_size": 4, "crop_size": 256},
}

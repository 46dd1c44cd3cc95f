"""The settings of `stylekit train`."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Self

from stylekit.config.checks import check_choice, check_losses, check_minimum, check_range, option_of, require
from stylekit.networks import architecture
from stylekit.system.devices import check_device

PRECISIONS = ("auto", "float32", "bfloat16")
TRAIN_STYLE_LOSSES = ("sliced", "gram")

_SMALLEST_CROP = 32  # px, at the coarsest octave
_SMALLEST_PAINTING = 16  # px, likewise: a pixel is left of them at relu5_1


@dataclass(frozen=True)
class TrainConfig:
    """Settings of `train_style` and `stylekit train`; the defaults are those of the preset `good`.

    Attributes:
        network: Transformer network: `unet`, `fast` or `johnson`.
        steps: Optimizer steps.
        batch_size: Photos per step.
        crop_size: Side of the square training crops in pixels.
        style_size: Shorter side in pixels to which the painting is scaled.
        octaves: Number of sizes, each half the previous, at which styles are compared; more give larger strokes.
        content_layers: Layers of the content loss; empty uses relu4_2, or the highest that the loss network has.
        style_layers: Layers of the style loss with their weights; empty uses those of relu1_1, relu2_1, …, relu5_1
            that the loss network has: with weight 1 for `gram`, with most weight where strokes are for `sliced`.
        style_loss: `sliced` (distributions of features, with a share of Gram) or `gram`.
        content_weight: Weight of the relative content loss.
        style_weight: Weight of the relative style loss.
        tv_weight: Weight of the total variation.
        stability_weight: Weight of the flicker loss (a photo with slight noise should give the same result); 0 turns
            it off.
        learning_rate: Peak of the one-cycle schedule.
        pooling: `max` or `avg` pooling in the loss network.
        precision: `float32`, `bfloat16`, or `auto` for bfloat16 on CUDA and on CPUs that
            multiply it in hardware, float32 elsewhere.
        seed: Seed of the weights and the crops.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        loss_network: `vgg19`, or `compact`, which is bundled.
        loss_weights: File with VGG-19's weights; None uses the cached ones, and downloads them if needed.
        init_from: Name or file of a trained style to start from; `nearest` is the bundled one most like the painting,
            `none` starts from fresh weights.
    """

    network: str = "unet"
    steps: int = 1500
    batch_size: int = 2
    crop_size: int = 224
    style_size: int = 512
    octaves: int = 2
    content_layers: tuple[str, ...] = ()
    style_layers: dict[str, float] = field(default_factory=dict)
    style_loss: str = "sliced"
    content_weight: float = 3.0
    style_weight: float = 12.0
    tv_weight: float = 0.05
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
        """Return the settings of a preset, with changes.

        Args:
            preset: `draft`, `good` or `best`.
            **changes: Settings that replace the preset's.

        Raises:
            ConfigError: If the preset is unknown or a value is out of range.
        """
        check_choice("preset", preset, TRAIN_PRESETS)
        return cls(**{**TRAIN_PRESETS[preset], **changes})

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Rebuild settings from the result of `to_dict`, ignoring unknown keys.

        Raises:
            ConfigError: If a value is out of range.
        """
        names = {f.name for f in dataclasses.fields(cls)}
        known = {key: value for key, value in values.items() if key in names}
        if known.get("init_from", "") is None:  # what older versions wrote for fresh weights
            known["init_from"] = "none"
        known.setdefault("style_loss", "gram")  # the only one of older versions
        if "content_layers" in known:
            known["content_layers"] = tuple(known["content_layers"])
        return cls(**known)

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as JSON types."""
        return {**dataclasses.asdict(self), "content_layers": list(self.content_layers)}


TRAIN_PRESETS: dict[str, dict[str, Any]] = {
    "draft": {"steps": 400, "crop_size": 192},
    "good": {},
    "best": {"steps": 8000, "batch_size": 4, "crop_size": 256},
}

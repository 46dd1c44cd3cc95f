"""Settings of `train`."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Self

from stylekit.config.checks import _require, check_losses
from stylekit.errors import ConfigError
from stylekit.networks import architecture
from stylekit.system.devices import check_device

PRECISIONS = ("auto", "float32", "bfloat16")


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
        architecture(self.network).complete({})
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

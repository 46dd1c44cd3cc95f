"""Settings of `gatys`."""

from dataclasses import dataclass, field

from stylekit.config.checks import _require, check_losses
from stylekit.errors import ConfigError
from stylekit.system.devices import check_device

OPTIMIZERS = ("lbfgs", "adam")

STYLE_LOSSES = ("gram", "moments")

STARTS = ("content", "noise", "style")  # of `gatys`, besides files


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

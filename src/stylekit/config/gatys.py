"""The settings of `stylekit gatys`."""

from dataclasses import dataclass, field

from stylekit.config.checks import MAX_PIXELS, check_choice, check_losses, check_minimum, check_range, require
from stylekit.system.devices import check_device

OPTIMIZERS = ("lbfgs", "adam")

STYLE_LOSSES = ("gram", "moments")

STARTS = ("content", "noise", "style")  # the values of `GatysConfig.init` other than files


@dataclass(frozen=True)
class GatysConfig:
    """Settings of `gatys` and `stylekit gatys`.

    Attributes:
        size: Longer side of the result in pixels; smaller photos keep their size.
        steps: Loss evaluations at the finest scale. Each coarser scale has half as many, but at least a quarter of
            `steps`.
        optimizer: `lbfgs` or `adam`.
        learning_rate: Learning rate for Adam, with pixels in [0, 1].
        init: Starting image: `content` (the photo), `noise`, `style` (the first painting) or a file.
        painting_weights: Weight of each painting; if empty, all paintings have the same weight.
        style_scale: Size of the paintings relative to the result, 0.1 to 10; larger values give larger strokes.
        style_loss: Statistics of the features to match: `moments` (mean and covariance) or `gram` matrices.
        content_layers: Layers of the content loss; empty uses relu4_2, or the highest layer that the loss network has.
        style_layers: Layers of the style loss with their weights; empty uses the layers among relu1_1, relu2_1, …,
            relu5_1 that the loss network has, each with weight 1.
        content_weight: Weight of the relative content loss.
        style_weight: Weight of the relative style loss.
        tv_weight: Weight of the total variation loss.
        pooling: Pooling in the loss network, `max` or `avg`.
        keep_colors: Whether to keep the photo's chroma and take only the luma of the stylized image.
        save_every: Number of steps between intermediate images; 0 saves only the result.
        seed: Seed of the random numbers for `init="noise"`.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        loss_network: `vgg19`, or `compact`, which is bundled.
        loss_weights: VGG-19 weights file; None uses cached weights, which are downloaded if necessary.
        max_pixels: Largest number of pixels that an image may have; more are rejected as a decompression bomb.
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
    max_pixels: int = MAX_PIXELS

    def __post_init__(self) -> None:
        """Check every setting."""
        check_device(self.device)
        minimums = {"size": 16, "steps": 1, "save_every": 0, "seed": 0, "max_pixels": 1}
        minimums |= dict.fromkeys(("content_weight", "style_weight", "tv_weight", "learning_rate"), 0)
        for setting, least in minimums.items():
            check_minimum(setting, getattr(self, setting), least)
        require(self.learning_rate > 0, "--lr must be greater than 0.")
        check_range("style_scale", self.style_scale, 0.1, 10)
        check_choice("optimizer", self.optimizer, OPTIMIZERS)
        check_choice("style_loss", self.style_loss, STYLE_LOSSES)
        check_losses(self.loss_network, self.content_layers, self.style_layers, self.pooling, self.loss_weights)
        weights = self.painting_weights
        valid = not weights or (all(0 <= weight < float("inf") for weight in weights) and sum(weights) > 0)
        require(valid, "--style-weights must be 0 or more, and not all 0.")

    def check_paintings(self, number: int) -> None:
        """Check that the number of paintings matches the number of weights.

        Args:
            number: The number of paintings.

        Raises:
            ConfigError: If there are no paintings, or their number differs from the number of weights.
        """
        require(number > 0, "No painting given.", "Pass at least one painting.")
        weights = len(self.painting_weights)
        valid = weights in (0, number)
        require(valid, f"--style-weights must have one weight per painting ({number}), not {weights}.")

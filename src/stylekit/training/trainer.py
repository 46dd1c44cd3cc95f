"""The state of a training (network, losses, optimizer, schedule), and one step of it."""

import copy
import math
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from stylekit.config.train import TrainConfig
from stylekit.errors import TrainingDiverged
from stylekit.losses.layers import default_content_layers, default_style_layers
from stylekit.losses.networks import LossWeights, build_loss_network, highest_layer_of
from stylekit.losses.perceptual import Losses, PerceptualLoss
from stylekit.losses.sliced import GRAM_SHARE, SlicedLoss
from stylekit.networks import architecture
from stylekit.styles.style_file import StyleFile
from stylekit.system.devices import select_device
from stylekit.system.distributed import ALONE, World
from stylekit.system.memory import memory_errors
from stylekit.system.processors import multiplies_bfloat16
from stylekit.training.curriculum import Stage, stage

if TYPE_CHECKING:
    from torch.optim.lr_scheduler import LRScheduler

_WARM_UP = 0.1  # share of the steps in which the learning rate rises
_DECAY = 0.99  # of the moving average of the weights, which is what the training results in
# Strokes are at relu3_1 and relu4_1; colors, at the lowest layers, are learned without much weight.
_STYLE_WEIGHTS = {"relu1_1": 0.5, "relu2_1": 0.7, "relu3_1": 1.0, "relu4_1": 1.3, "relu5_1": 0.5}
_RECENT = 50  # steps over which the final losses are averaged
_MOST_GRADIENT = 20.0  # a usual norm; a nearly flat crop can give one that Adam would remember for long
# A network whose crops match the painting makes whole photos too faint: there, instance normalization divides plain
# areas by the deviation of busy ones. So crops aim at Gram matrices this many times the painting's, by VGG-19's blocks:
# the inverse of what was measured on whole photos of 1,024 px.
_STYLE_GAINS = {"relu1": 1.03, "relu2": 1.15, "relu3": 1.15, "relu4": 1.2, "relu5": 1.2}
_NOISE_DEVIATION = 0.02  # of the noise that must not change the result, for values in [0, 1]
_NETWORK, _AVERAGE, _OPTIMIZER = "network.", "average.", "optimiser."  # before the tensors' names in checkpoints


class Trainer:
    """A training: the network, its losses, optimizer and schedule, and the progress so far.

    Args:
        config: The settings.
        painting: `(H, W, 3)` in [0, 1], at the size at which it is learned.
        loss_weights: The loss network's weights by name.
        world: The processes that train one network, each on its own crops; steps follow their mean gradient.
        start: A trained style of the same network to start from; None starts from fresh weights.

    Attributes:
        config: The settings.
        world: The processes.
        step: Steps taken.
        seconds: Training time so far, which the caller keeps.
        recent: Total, content, style and tv losses of the last steps.
        device: The device of network and losses.
        precision: The data type of network and losses.
        criterion: The losses.
        style_layers: Layers of the style loss with their weights.
        network: The transformer network.
        average: The moving average of its weights.
        network_config: The network's settings.
        optimizer: Adam.
        schedule: The one-cycle learning rate.

    Raises:
        ConfigError: If a layer or the network is unknown.
        LossWeightsError: If the weights end below the layers.
        DeviceUnavailable: If the device is missing or full.
    """

    def __init__(
        self,
        config: TrainConfig,
        painting: NDArray[np.float32],
        loss_weights: LossWeights,
        world: World = ALONE,
        start: StyleFile | None = None,
    ) -> None:
        self.config = config
        self.world = world
        self.step = 0
        self.seconds = 0.0
        self.recent: list[list[float]] = []
        self.device = torch.device(select_device(config.device))
        self.precision = _precision(config.precision, self.device)
        by_channels = self.device.type == "cuda" or self.precision == torch.bfloat16
        self._layout = torch.channels_last if by_channels else torch.contiguous_format
        with self._memory_errors():
            self.criterion, self.style_layers = self._build_criterion(painting, loss_weights)
        self.network, self.network_config = self._build_network(start)
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        self._is_fresh = start is None
        self._weights = (config.content_weight, config.style_weight, config.tv_weight)
        self.optimizer = torch.optim.Adam(self.network.parameters(), config.learning_rate)
        self.schedule: LRScheduler = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer,
            config.learning_rate,
            total_steps=config.steps + 2,
            pct_start=max(_WARM_UP, 2 / (config.steps + 2)),
            cycle_momentum=False,
        )

    def _build_criterion(
        self, painting: NDArray[np.float32], loss_weights: LossWeights
    ) -> tuple[PerceptualLoss, dict[str, float]]:
        config = self.config
        highest = highest_layer_of(config.loss_network, loss_weights)
        style_layers = config.style_layers or default_style_layers(highest)
        if config.style_loss == "sliced" and not config.style_layers:
            style_layers = {name: _STYLE_WEIGHTS[name] for name in style_layers}
        content_layers = config.content_layers or default_content_layers(highest)
        layers = {*content_layers, *style_layers}
        features = build_loss_network(config.loss_network, layers, loss_weights, config.pooling)
        features.get_submodule("features").to(self.precision)
        features.to(self.device, memory_format=self._layout)  # type: ignore[call-overload]
        with self._autocast():
            criterion = PerceptualLoss(
                features,
                self._tensor(np.ascontiguousarray(painting.transpose(2, 0, 1)[None])),
                content_layers=content_layers,
                style_layers=style_layers,
                style_loss=config.style_loss,
                content_weight=config.content_weight,
                style_weight=config.style_weight,
                tv_weight=config.tv_weight,
                octaves=config.octaves,
                style_gains={layer: _STYLE_GAINS[layer.split("_")[0]] for layer in style_layers},
            )
        return criterion, style_layers

    def _build_network(self, start: StyleFile | None) -> tuple[nn.Module, dict[str, int]]:
        torch.manual_seed(self.config.seed)
        kind = architecture(self.config.network)
        network_config = kind.complete(start.metadata.network_config if start else {})
        network = kind.load(network_config, start.weights) if start else kind.build(network_config)
        return network.to(self.device, memory_format=self._layout), network_config  # type: ignore[call-overload]

    def _tensor(self, array: NDArray[np.float32]) -> Tensor:
        return torch.from_numpy(array).to(self.device, memory_format=self._layout)

    def _memory_errors(self) -> AbstractContextManager[None]:
        return memory_errors(str(self.device), "Use a smaller --batch-size, --crop-size or --style-size.")

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, self.precision, enabled=self.precision != torch.float32)

    def calibrate(self, crops: NDArray[np.float32]) -> None:
        """Make content losses relative to the mean energy of these crops, `(B, 3, S, S)`."""
        with self._memory_errors(), self._autocast():
            self.criterion.calibrate([self._tensor(crop[None]) for crop in crops])

    def train_step(self, crops: NDArray[np.float32]) -> list[float]:
        """Take one step.

        Args:
            crops: `(B, 3, S, S)`, RGB in [0, 1].

        Returns:
            Total, content, style and tv losses, averaged over all processes.

        Raises:
            TrainingDiverged: If a loss is not finite; the weights stay as they were, in all processes.
            RankLost: If another process is gone.
        """
        with self._memory_errors():
            photo = self._tensor(crops)
            now = self._next_stage()
            with self._autocast():
                result = self.network(photo)
                losses: Losses = self.criterion(result.float(), self.criterion.content_of(photo))
                objective = (result.float() - photo).abs().mean() if now.copies else losses.total
                flicker = self._flicker(photo, result)
            self.optimizer.zero_grad(set_to_none=True)
            (objective + flicker).backward()
            total = flicker + sum(weight * part for weight, part in zip(self._weights, losses[1:], strict=True))
            values = torch.stack([part.detach() for part in (total, *losses[1:])])
            self.world.average([*(p.grad for p in self.network.parameters() if p.grad is not None), values])
            gradient = nn.utils.clip_grad_norm_(self.network.parameters(), _MOST_GRADIENT)
            *reached, norm = torch.cat([values, gradient[None]]).tolist()
        if not all(map(math.isfinite, (*reached, norm))):
            raise TrainingDiverged(
                f"The loss is no longer finite at step {self.step + 1}; the last checkpoint is kept.",
                "Lower --lr or the weights, or use --precision float32.",
            )
        self.optimizer.step()
        self.schedule.step()
        self.step += 1
        self._update_average()
        self.recent = [*self.recent, reached][-_RECENT:]
        return reached

    def _next_stage(self) -> Stage:
        """Set the losses to what counts in the next step, and return that."""
        now = stage(self.step, self.config.steps) if self._is_fresh else Stage()
        content_weight, style_weight, tv_weight = self._weights
        self.criterion.weights = (content_weight, now.style * style_weight, tv_weight)
        if isinstance(loss := self.criterion.style_loss, SlicedLoss):
            loss.gram_share = now.gram * GRAM_SHARE
            loss.reseed(((self.config.seed * 1_000_003 + self.step) * 65_537 + self.world.rank) % 2**63)
        return now

    @torch.no_grad()
    def _update_average(self) -> None:
        decay = min(_DECAY, self.step / (self.step + 9))
        for average, parameter in zip(self.average.parameters(), self.network.parameters(), strict=True):
            average.lerp_(parameter, 1 - decay)

    def _flicker(self, photo: Tensor, result: Tensor) -> Tensor:
        """Return the weighted mean squared difference that slight noise in the photo makes in the result."""
        if not self.config.stability_weight:
            return result.new_zeros((), dtype=torch.float32)
        first = self.world.rank * len(photo)
        seeds = ((self.config.seed, self.step, number, 1) for number in range(first, first + len(photo)))
        noise = np.stack([np.random.default_rng(seed).normal(0, _NOISE_DEVIATION, photo.shape[1:]) for seed in seeds])
        noisy: Tensor = self.network((photo + self._tensor(noise.astype(np.float32))).clamp(0, 1))
        return self.config.stability_weight * (noisy.float() - result.float()).square().mean()

    @torch.no_grad()
    def stylize(self, photo: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return a photo `(H, W, 3)` in [0, 1] stylized by the network as it is."""
        with self._memory_errors(), self._autocast():
            results = self.average(self._tensor(np.ascontiguousarray(photo.transpose(2, 0, 1)[None])))
        result: NDArray[np.float32] = results[0].float().cpu().numpy().transpose(1, 2, 0)
        return result

    def weights(self) -> dict[str, NDArray[np.float32]]:
        """Return the parameters by name: the moving average of the network's."""
        return {name: tensor.detach().cpu().numpy() for name, tensor in self.average.state_dict().items()}

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return all that resuming needs, as tensors and as JSON types. Crops follow from the step."""
        optimizer = self.optimizer.state_dict()
        tensors = {f"{_NETWORK}{name}": tensor for name, tensor in self.network.state_dict().items()}
        tensors |= {f"{_AVERAGE}{name}": tensor for name, tensor in self.average.state_dict().items()}
        for index, entries in optimizer["state"].items():
            tensors |= {f"{_OPTIMIZER}{index}.{key}": tensor for key, tensor in entries.items()}
        schedule = {"last_epoch": self.schedule.last_epoch}
        learning_rates = [group["lr"] for group in optimizer["param_groups"]]
        return tensors, {
            "step": self.step,
            "seconds": self.seconds,
            "recent": self.recent,
            "schedule": schedule,
            "learning_rates": learning_rates,
        }

    def restore(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Restore what `state` returned."""
        self.step, self.seconds, self.recent = state["step"], state["seconds"], state["recent"]
        for network, prefix in ((self.network, _NETWORK), (self.average, _AVERAGE)):
            named = {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key.startswith(prefix)}
            network.load_state_dict(named or self.network.state_dict())  # older checkpoints have no average
        entries: dict[int, dict[str, Tensor]] = {}
        for key, tensor in tensors.items():
            if key.startswith(_OPTIMIZER):
                _, index, entry = key.split(".")
                entries.setdefault(int(index), {})[entry] = tensor
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": entries})
        self.schedule.load_state_dict(state["schedule"])
        for group, rate in zip(self.optimizer.param_groups, state["learning_rates"], strict=True):
            group["lr"] = rate


def _precision(precision: str, device: torch.device) -> torch.dtype:
    if precision == "auto":
        is_fast = device.type == "cuda" or (device.type == "cpu" and multiplies_bfloat16())
        return torch.bfloat16 if is_fast else torch.float32
    return torch.bfloat16 if precision == "bfloat16" else torch.float32

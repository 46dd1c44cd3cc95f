"""The state of a training run (network, losses, optimizer, schedule), and the training step."""

import copy
import dataclasses
import math
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from stylekit.config.train import TrainConfig
from stylekit.errors import TrainingDiverged
from stylekit.losses.layers import default_style_layers, training_content_layers
from stylekit.losses.networks import LossWeights, build_loss_network, highest_layer_of
from stylekit.losses.perceptual import Losses, PerceptualLoss
from stylekit.losses.pooled import PooledLoss
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
_DECAY = 0.99  # of the moving average of the weights, which is the result of training
# relu3_1 and relu4_1 represent strokes; the lowest layers represent colors, which are learned even with little weight.
_POOLED_WEIGHTS = {"relu1_1": 0.3, "relu2_1": 0.6, "relu3_1": 1.2, "relu4_1": 1.6, "relu5_1": 0.3}
_RECENT = 50  # steps over which the final losses are averaged
_MAX_GRADIENT = 20.0  # a usual norm; a nearly flat crop can give a huge gradient, which Adam would remember for long
# If every crop matches the painting exactly, the style of whole photos is too faint, because instance normalization
# divides their plain areas by the deviation of busy areas. The targets for crops are therefore the painting's Gram
# matrices times these factors, by VGG-19's blocks: the inverse of the ratios measured on whole photos of 1,024 px.
_STYLE_GAINS = {"relu1": 1.03, "relu2": 1.15, "relu3": 1.15, "relu4": 1.2, "relu5": 1.2}
_NOISE_DEVIATION = 0.02  # of the noise that must not change the result, for values in [0, 1]
# Prefixes of tensor names in checkpoints.
_NETWORK, _AVERAGE, _OPTIMIZER, _POOLED = "network.", "average.", "optimiser.", "pooled."


class Trainer:
    """The state of a training run: the network, its losses, optimizer and schedule, and the progress so far.

    Args:
        config: The training settings.
        painting: `(H, W, 3)` in [0, 1], scaled to the size at which it is learned.
        loss_weights: The loss network's weights by name.
        world: The processes that train the same network on different crops, averaging their gradients in each step.
        start: A trained style of the same network to start from; None to start from fresh weights.

    Attributes:
        config: The training settings.
        world: The processes that train together.
        step: The number of steps taken.
        seconds: Training time so far, which the caller updates.
        recent: Total, content, style and tv losses of the last steps.
        device: The device of network and losses.
        precision: The data type of network and losses.
        criterion: The losses.
        style_layers: Layers of the style loss with their weights.
        network: The transformer network.
        average: A copy of the network with the moving average of its weights.
        network_config: The network's settings.
        optimizer: The Adam optimizer.
        schedule: The one-cycle schedule of the learning rate.

    Raises:
        ConfigError: If a layer or the network is unknown.
        LossWeightsError: If the loss weights end before the highest of the layers.
        DeviceUnavailable: If the device is unavailable or out of memory.
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
        self.schedule = self._build_schedule()

    def _build_criterion(
        self, painting: NDArray[np.float32], loss_weights: LossWeights
    ) -> tuple[PerceptualLoss, dict[str, float]]:
        config = self.config
        highest = highest_layer_of(config.loss_network, loss_weights)
        is_pooled = config.style_loss == "pooled"
        style_layers = config.style_layers or default_style_layers(highest)
        if is_pooled and not config.style_layers:
            style_layers = {layer: _POOLED_WEIGHTS[layer] for layer in style_layers}
        content_layers = config.content_layers or training_content_layers(highest)
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
                style_loss=PooledLoss(self.world.average) if is_pooled else config.style_loss,
                content_weight=config.content_weight,
                style_weight=config.style_weight,
                tv_weight=config.tv_weight,
                octaves=config.octaves,
                style_gains={} if is_pooled else {layer: _STYLE_GAINS[layer.split("_")[0]] for layer in style_layers},
            )
        return criterion, style_layers

    def _build_network(self, start: StyleFile | None) -> tuple[nn.Module, dict[str, int]]:
        torch.manual_seed(self.config.seed)
        kind = architecture(self.config.network)
        network_config = kind.complete(start.metadata.network_config if start else {})
        network = kind.load(network_config, start.weights) if start else kind.build(network_config)
        return network.to(self.device, memory_format=self._layout), network_config  # type: ignore[call-overload]

    def _build_schedule(self) -> "LRScheduler":
        return torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer,
            self.config.learning_rate,
            total_steps=self.config.steps + 2,
            pct_start=max(_WARM_UP, 2 / (self.config.steps + 2)),
            cycle_momentum=False,
        )

    def set_steps(self, steps: int) -> None:
        """Change the total number of steps, before the first step."""
        self.config = dataclasses.replace(self.config, steps=steps)
        self.schedule = self._build_schedule()

    def _tensor(self, array: NDArray[np.float32]) -> Tensor:
        return torch.from_numpy(array).to(self.device, memory_format=self._layout)

    def _memory_errors(self) -> AbstractContextManager[None]:
        return memory_errors(str(self.device), "Use a smaller --batch-size, --crop-size or --style-size.")

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, self.precision, enabled=self.precision != torch.float32)

    def calibrate(self, crops: NDArray[np.float32]) -> None:
        """Make content losses relative to the mean energy of these crops, `(B, 3, S, S)`; see `PerceptualLoss`."""
        with self._memory_errors(), self._autocast():
            self.criterion.calibrate([self._tensor(crop[None]) for crop in crops])

    def train_step(self, crops: NDArray[np.float32]) -> list[float]:
        """Take one step.

        Args:
            crops: `(B, 3, S, S)`, RGB in [0, 1].

        Returns:
            Total, content, style and tv losses, averaged over all processes.

        Raises:
            TrainingDiverged: If a loss is not finite; the weights are left unchanged in all processes.
            RankLost: If another process has been lost.
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
            gradient = nn.utils.clip_grad_norm_(self.network.parameters(), _MAX_GRADIENT)
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
        """Set the weights of the losses for the next step, and return its stage in the curriculum."""
        now = stage(self.step, self.config.steps) if self._is_fresh else Stage()
        content_weight, style_weight, tv_weight = self._weights
        self.criterion.weights = (content_weight, now.style * style_weight, tv_weight)
        return now

    @torch.no_grad()
    def _update_average(self) -> None:
        decay = min(_DECAY, self.step / (self.step + 9))
        for average, parameter in zip(self.average.parameters(), self.network.parameters(), strict=True):
            average.lerp_(parameter, 1 - decay)

    def _flicker(self, photo: Tensor, result: Tensor) -> Tensor:
        """Return the weighted mean squared change of the result that slight noise in the photo causes."""
        if not self.config.stability_weight:
            return result.new_zeros((), dtype=torch.float32)
        first = self.world.rank * len(photo)
        seeds = ((self.config.seed, self.step, number, 1) for number in range(first, first + len(photo)))
        noise = np.stack([np.random.default_rng(seed).normal(0, _NOISE_DEVIATION, photo.shape[1:]) for seed in seeds])
        noisy: Tensor = self.network((photo + self._tensor(noise.astype(np.float32))).clamp(0, 1))
        return self.config.stability_weight * (noisy.float() - result.float()).square().mean()

    @torch.no_grad()
    def stylize(self, photo: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return a photo `(H, W, 3)` in [0, 1], stylized with the current averaged weights."""
        with self._memory_errors(), self._autocast():
            results = self.average(self._tensor(np.ascontiguousarray(photo.transpose(2, 0, 1)[None])))
        result: NDArray[np.float32] = results[0].float().cpu().numpy().transpose(1, 2, 0)
        return result

    def weights(self) -> dict[str, NDArray[np.float32]]:
        """Return the moving averages of the network's parameters by name."""
        return {name: tensor.detach().cpu().numpy() for name, tensor in self.average.state_dict().items()}

    def _pooled_means(self) -> list[Tensor]:
        """Return the running means of the pooled style loss; an empty list for other style losses."""
        loss = self.criterion.style_loss
        return loss.means if isinstance(loss, PooledLoss) else []

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return everything needed to resume, as tensors and as JSON-serializable values.

        Crops are not part of the state, because they depend only on the seed, the step and their number.
        """
        optimizer = self.optimizer.state_dict()
        tensors = {f"{_NETWORK}{name}": tensor for name, tensor in self.network.state_dict().items()}
        tensors |= {f"{_AVERAGE}{name}": tensor for name, tensor in self.average.state_dict().items()}
        tensors |= {f"{_POOLED}{index}": mean for index, mean in enumerate(self._pooled_means())}
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
        """Restore the state that `state` returned."""
        self.step, self.seconds, self.recent = state["step"], state["seconds"], state["recent"]
        for network, prefix in ((self.network, _NETWORK), (self.average, _AVERAGE)):
            named = {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key.startswith(prefix)}
            network.load_state_dict(named or self.network.state_dict())  # older checkpoints have no average
        for number, mean in enumerate(self._pooled_means()):
            mean.copy_(tensors[f"{_POOLED}{number}"])
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

"""A training's state: network, losses, optimiser and schedule, and one step of it."""

import math
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from stylekit.config.train import TrainConfig
from stylekit.errors import TrainingDiverged
from stylekit.losses.layers import default_style_layers
from stylekit.losses.networks import build_loss_network, highest_layer_of
from stylekit.losses.perceptual import Losses, PerceptualLoss
from stylekit.networks import architecture
from stylekit.styles.style_file import StyleFile
from stylekit.system.devices import select_device
from stylekit.system.distributed import ALONE, World
from stylekit.system.memory import memory_errors

if TYPE_CHECKING:
    from torch.optim.lr_scheduler import LRScheduler

_WARM_UP = 0.1  # share of the steps in which the learning rate rises
_RECENT = 50  # steps over which the losses reached are averaged
_LONGEST_GRADIENT = 20.0  # an ordinary one; a nearly flat crop can give one that Adam would not forget for long
# A network that paints crops as strongly as the painting paints whole photos more faintly: there instance
# normalisation divides plain parts by the deviation of busy ones. So crops aim at Gram matrices this many times the
# painting's, by VGG-19's blocks; measured on whole photos of 1,024 px, where the inverse was found without it.
_STYLE_GAINS = {"relu1": 1.03, "relu2": 1.15, "relu3": 1.15, "relu4": 1.2, "relu5": 1.2}
_NOISE = 0.02  # deviation of the noise that must not change the picture, of [0, 1]


class Trainer:
    """Network, losses, optimiser and schedule, and how far they are.

    Args:
        config: settings.
        painting: `(H, W, 3)` in [0, 1], at the size at which it is to be learnt.
        loss_weights: the loss network's, by name.
        world: processes that train one network, each on crops of its own: steps follow their mean gradient.
        start: a finished style of the same network to begin with; fresh weights without it.

    Attributes:
        step: steps taken.
        seconds: training time so far, kept by the loop.
        recent: total, content, style and tv of the last steps.
        style_layers: layers of the style loss with their weights.
        network_config: the network's settings.

    Raises:
        ConfigError: if a layer or the network is unknown.
        LossWeightsError: if the weights do not reach the layers.
        DeviceUnavailable: if the device is missing or full.
    """

    def __init__(
        self,
        config: TrainConfig,
        painting: NDArray[np.float32],
        loss_weights: dict[str, NDArray[np.float32]],
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
        self.layout = torch.channels_last if self.device.type == "cuda" else torch.contiguous_format
        with self._memory_errors():
            self.criterion, self.style_layers = self._build_criterion(painting, loss_weights)
        self.network, self.network_config = self._build_network(start)
        self.optimiser = torch.optim.Adam(self.network.parameters(), config.learning_rate)
        self.schedule: LRScheduler = torch.optim.lr_scheduler.OneCycleLR(
            self.optimiser,
            config.learning_rate,
            total_steps=config.steps + 2,
            pct_start=max(_WARM_UP, 2 / (config.steps + 2)),
            cycle_momentum=False,
        )

    def _build_criterion(
        self, painting: NDArray[np.float32], loss_weights: dict[str, NDArray[np.float32]]
    ) -> tuple[PerceptualLoss, dict[str, float]]:
        config = self.config
        style_layers = config.style_layers or default_style_layers(highest_layer_of(config.loss_network, loss_weights))
        layers = {*config.content_layers, *style_layers}
        features = build_loss_network(config.loss_network, layers, loss_weights, config.pooling)
        features.get_submodule("features").to(self.precision)
        features.to(self.device, memory_format=self.layout)  # type: ignore[call-overload]
        with self._autocast():
            criterion = PerceptualLoss(
                features,
                self._tensor(np.ascontiguousarray(painting.transpose(2, 0, 1)[None])),
                content_layers=config.content_layers,
                style_layers=style_layers,
                content_weight=config.content_weight,
                style_weight=config.style_weight,
                tv_weight=config.tv_weight,
                octaves=config.octaves,
                style_gains={layer: _STYLE_GAINS[layer.split("_")[0]] for layer in style_layers},
            )
        return criterion, style_layers

    def _build_network(self, start: StyleFile | None) -> tuple[nn.Module, dict[str, int]]:
        torch.manual_seed(self.config.seed)
        network_config = architecture(self.config.network).complete(start.metadata.network_config if start else {})
        if start is None:
            network = architecture(self.config.network).build(network_config)
        else:
            network = architecture(self.config.network).load(network_config, start.weights)
        return network.to(self.device, memory_format=self.layout), network_config  # type: ignore[call-overload]

    def _tensor(self, array: NDArray[np.float32]) -> Tensor:
        return torch.from_numpy(array).to(self.device, memory_format=self.layout)

    def _memory_errors(self) -> AbstractContextManager[None]:
        return memory_errors(str(self.device), "Use a smaller --batch-size, --crop-size or --style-size.")

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, self.precision, enabled=self.precision != torch.float32)

    def calibrate(self, crops: NDArray[np.float32]) -> None:
        """Take content losses relative to the mean energy of these crops, `(B, 3, S, S)`."""
        with self._memory_errors(), self._autocast():
            self.criterion.calibrate([self._tensor(crop[None]) for crop in crops])

    def train_step(self, crops: NDArray[np.float32]) -> list[float]:
        """Take one step on `(B, 3, S, S)` crops and return total, content, style and tv, the means over all processes.

        Raises:
            TrainingDiverged: if the total is not finite; the weights are left as they were, in all processes.
            RankLost: if another process is gone.
        """
        with self._memory_errors():
            photo = self._tensor(crops)
            with self._autocast():
                picture = self.network(photo)
                losses: Losses = self.criterion(picture.float(), self.criterion.content_of(photo))
                objective = losses.total
                if self.config.stability_weight:
                    objective = objective + self.config.stability_weight * self._instability(photo, picture)
            self.optimiser.zero_grad(set_to_none=True)
            objective.backward()  # type: ignore[no-untyped-call]
            values = torch.stack([objective.detach(), *(part.detach() for part in losses[1:])])
            self.world.average([*(p.grad for p in self.network.parameters() if p.grad is not None), values])
            gradient = nn.utils.clip_grad_norm_(self.network.parameters(), _LONGEST_GRADIENT)
            *reached, length = torch.cat([values, gradient[None]]).tolist()
        if not all(map(math.isfinite, (*reached, length))):
            raise TrainingDiverged(
                f"The loss is no longer finite at step {self.step + 1}; the last checkpoint is kept.",
                "Lower --lr or the weights, or use --precision float32.",
            )
        self.optimiser.step()
        self.schedule.step()
        self.step += 1
        self.recent = [*self.recent, reached][-_RECENT:]
        return reached

    def _instability(self, photo: Tensor, picture: Tensor) -> Tensor:
        """How much slight noise changes the picture: the mean squared difference."""
        first = self.world.rank * len(photo)
        seeds = ((self.config.seed, self.step, number, 1) for number in range(first, first + len(photo)))
        noise = np.stack([np.random.default_rng(seed).normal(0, _NOISE, photo.shape[1:]) for seed in seeds])
        noisy: Tensor = self.network((photo + self._tensor(noise.astype(np.float32))).clamp(0, 1))
        difference = noisy.float() - picture.float()
        return difference.square().mean()

    @torch.no_grad()
    def stylise(self, photo: NDArray[np.float32]) -> NDArray[np.float32]:
        """Stylise `(H, W, 3)` in [0, 1]."""
        with self._memory_errors(), self._autocast():
            picture = self.network(self._tensor(np.ascontiguousarray(photo.transpose(2, 0, 1)[None])))
        result: NDArray[np.float32] = picture[0].float().cpu().numpy().transpose(1, 2, 0)
        return result

    def weights(self) -> dict[str, NDArray[np.float32]]:
        """Return the network's parameters by name."""
        return {name: tensor.detach().cpu().numpy() for name, tensor in self.network.state_dict().items()}

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return all that resuming needs: tensors, and JSON's types. Crops need none: they follow from the step."""
        optimiser = self.optimiser.state_dict()
        tensors = {f"network.{name}": tensor for name, tensor in self.network.state_dict().items()}
        for index, entries in optimiser["state"].items():
            tensors |= {f"optimiser.{index}.{key}": tensor for key, tensor in entries.items()}
        schedule = {"last_epoch": self.schedule.last_epoch}
        learning_rates = [group["lr"] for group in optimiser["param_groups"]]
        return tensors, {
            "step": self.step,
            "seconds": self.seconds,
            "recent": self.recent,
            "schedule": schedule,
            "learning_rates": learning_rates,
        }

    def restore(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Take up what `state` returned."""
        self.step, self.seconds, self.recent = state["step"], state["seconds"], state["recent"]
        prefixed = "network."
        self.network.load_state_dict(
            {k.removeprefix(prefixed): t for k, t in tensors.items() if k.startswith(prefixed)}
        )
        entries: dict[int, dict[str, Tensor]] = {}
        for key, tensor in tensors.items():
            if key.startswith("optimiser."):
                _, index, entry = key.split(".")
                entries.setdefault(int(index), {})[entry] = tensor
        self.optimiser.load_state_dict({**self.optimiser.state_dict(), "state": entries})
        self.schedule.load_state_dict(state["schedule"])
        for group, rate in zip(self.optimiser.param_groups, state["learning_rates"], strict=True):
            group["lr"] = rate


def _precision(precision: str, device: torch.device) -> torch.dtype:
    if precision == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    return torch.bfloat16 if precision == "bfloat16" else torch.float32

"""Networks run by torch: on CUDA, MPS or the CPU."""

import copy
from contextlib import AbstractContextManager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylekit.engines.moments import Moments, features_within
from stylekit.engines.protocol import Pictures, UsedStatistics
from stylekit.errors import OutOfMemory
from stylekit.networks import architecture
from stylekit.networks.shapes import Statistics
from stylekit.styles.style_file import StyleFile
from stylekit.system.memory import memory_errors

_OLDEST_FAST_HALF = (7, 0)  # compute capability from which half precision pays
_MOST_CUDA_PIXELS = 2**31 // 64 - 1  # of a run: `johnson` makes 64 values of each, which reflection counts in 32 bits


class TorchEngine:
    """Runs a network with torch; see `Engine`.

    On CUDA it computes in half precision where the device is good at it, and goes back to float32 for a network whose
    values leave half precision's range.
    """

    held_bytes = 0  # what torch keeps on a GPU is counted as free by `device.free_memory`

    def __init__(self, style: StyleFile, *, device: str, threads: int | None) -> None:
        if threads is not None:
            torch.set_num_threads(threads)
        self.device = device
        self._network_kind, config = architecture(style.metadata.network), style.metadata.network_config
        self.reach = self._network_kind.receptive_radius(config)
        self.pixel_bytes = self._network_kind.bytes_per_pixel(config)
        self._norms = self._network_kind.norm_names(config)
        self.free_norms = self.norms_in_turn = len(self._norms)
        network = self._network_kind.load(config, style.weights).requires_grad_(False).eval()
        # On a CPU, oneDNN's blocked layouts are faster than channels-last.
        self._layout = torch.contiguous_format if self.device == "cpu" else torch.channels_last
        with memory_errors(self.device, "Free its memory, or use --device cpu."):
            self._network = network.to(self.device, memory_format=self._layout)  # type: ignore[call-overload]
        self._half = (
            self.device.startswith("cuda") and torch.cuda.get_device_capability(self.device) >= _OLDEST_FAST_HALF
        )

    @torch.inference_mode()
    def run(self, pictures: Pictures) -> Pictures:
        """See `Engine.run`."""
        with self._memory_errors():
            batch = self._batch(pictures)
            out = self._forward(batch)
            if self._half and not out.isfinite().all():
                self._half = False
                out = self._forward(batch)
            result: Pictures = out.permute(0, 2, 3, 1).float().cpu().numpy()
            return result

    @torch.inference_mode()
    def run_after(
        self, picture: Pictures, last: tuple[UsedStatistics, ...], share: float
    ) -> tuple[Pictures, tuple[UsedStatistics, ...]]:
        """See `Engine.run_after`."""
        used: list[Tensor] = []

        def normalise(norm: nn.Module, inputs: tuple[Tensor], output: Tensor) -> Tensor:
            assert isinstance(norm, nn.InstanceNorm2d)
            x = inputs[0].float()
            statistics = torch.cat([x.mean((2, 3), keepdim=True), x.var((2, 3), unbiased=False, keepdim=True)])
            if last:
                before = torch.from_numpy(last[len(used) % len(last)]).to(self.device)
                statistics = torch.lerp(statistics, before, share)
            used.append(statistics)
            mean, variance = statistics
            result = F.batch_norm(x, mean.flatten(), variance.flatten(), norm.weight, norm.bias, eps=norm.eps)
            return result.to(output.dtype)

        norms = [self._network.get_submodule(name) for name in self._norms]
        hooks = [norm.register_forward_hook(normalise) for norm in norms]
        try:
            result = self.run(picture)
        finally:
            for hook in hooks:
                hook.remove()
        return result, tuple(statistics.cpu().numpy() for statistics in used[-len(norms) :])  # of `run`'s last try

    @torch.inference_mode()
    def moments(self, tile: Pictures, rows: slice, columns: slice) -> Moments:
        """See `Engine.moments`."""

        def stop(norm: nn.Module, inputs: tuple[Tensor]) -> None:
            raise _Reached(inputs[0])

        hook = self._network.get_submodule(self._norms[-self.free_norms]).register_forward_pre_hook(stop)
        with self._memory_errors():
            try:
                self._network(self._batch(tile[None]))
            except _Reached as reached:
                features = reached.features[0].float().cpu().numpy()
            finally:
                hook.remove()
        return Moments.of(features_within(features, self._network_kind, tile.shape[:2], rows, columns))

    def with_norm(self, statistics: Statistics) -> "TorchEngine":
        """See `Engine.with_norm`."""
        engine = copy.copy(self)
        engine._network = copy.deepcopy(self._network)
        engine.free_norms -= 1
        name = self._norms[-self.free_norms]
        free = self._network.get_submodule(name)
        fixed = nn.BatchNorm2d(free.num_features, eps=free.eps).requires_grad_(False).eval()
        fixed.load_state_dict({"weight": free.weight, "bias": free.bias}, strict=False)
        fixed.running_mean, fixed.running_var = (torch.from_numpy(values).float() for values in statistics)
        engine._network.set_submodule(name, fixed.to(self.device))
        return engine

    def replicas(self) -> "list[TorchEngine]":
        """See `Engine.replicas`; torch's threads belong to the whole process."""
        return [self]

    def _batch(self, pictures: Pictures) -> Tensor:
        pixels = pictures[..., 0].size
        if self.device.startswith("cuda") and pixels > _MOST_CUDA_PIXELS:
            raise OutOfMemory(f"{pixels:,} pixels are too many at once for {self.device}.", "Use --tile auto.")
        return torch.from_numpy(pictures).to(self.device).permute(0, 3, 1, 2).contiguous(memory_format=self._layout)

    def _forward(self, batch: Tensor) -> Tensor:
        with torch.autocast(self.device.partition(":")[0], torch.float16, enabled=self._half):
            out: Tensor = self._network(batch)
            return out

    def _memory_errors(self) -> AbstractContextManager[None]:
        return memory_errors(self.device, "Use --max-size 1000, a larger --stroke-size, or another --device.")


class _Reached(Exception):
    """The features before a normalisation, instead of what would follow."""

    def __init__(self, features: Tensor) -> None:
        self.features = features

"""An engine that runs networks in torch on CUDA, MPS or the CPU."""

import copy
from contextlib import AbstractContextManager
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylekit.engines.moments import Moments, features_within
from stylekit.engines.protocol import EngineFacts, Images, UsedStatistics
from stylekit.errors import OutOfMemory
from stylekit.networks import architecture
from stylekit.networks.shapes import NormStatistics
from stylekit.styles.style_file import StyleFile
from stylekit.system.memory import memory_errors

_OLDEST_FAST_HALF = (7, 0)  # compute capability from which half precision is faster
_MOST_CUDA_PIXELS = 2**31 // 64 - 1  # per run: reflection counts values in 32 bits; `johnson` has 64 a pixel


class TorchEngine:
    """Runs a network with torch; see `Engine`.

    On CUDA it computes in half precision where the device is fast at it, and falls back to float32 for a network whose
    values overflow.

    Args:
        style: The network and its weights.
        device: `cpu`, `cuda:N` or `mps`.
        threads: CPU threads of the whole process; None leaves their number unchanged.
    """

    held_bytes = 0  # on a GPU, `free_memory` counts what torch holds as free

    def __init__(self, style: StyleFile, *, device: str, threads: int | None) -> None:
        """Load the network onto the device."""
        if threads is not None:
            torch.set_num_threads(threads)
        self._architecture, config = architecture(style.metadata.network), style.metadata.network_config
        self._norms = self._architecture.norm_names(config)
        self.facts = EngineFacts(
            name="torch",
            device=device,
            receptive_radius=self._architecture.receptive_radius(config),
            free_norms=len(self._norms),
            norm_depth=len(self._norms),
            bytes_per_pixel=self._architecture.bytes_per_pixel(config),
        )
        network = self._architecture.load(config, style.weights).requires_grad_(False).eval()
        # On a CPU, oneDNN's blocked layouts are faster than channels-last.
        self._layout = torch.contiguous_format if device == "cpu" else torch.channels_last
        with memory_errors(device, "Free its memory, or use --device cpu."):
            self._network = network.to(device, memory_format=self._layout)  # type: ignore[call-overload]
        self._half = device.startswith("cuda") and torch.cuda.get_device_capability(device) >= _OLDEST_FAST_HALF

    @torch.inference_mode()
    def run(self, images: Images) -> Images:
        """See `Engine.run`."""
        with self._memory_errors():
            batch = self._batch(images)
            out = self._forward(batch)
            if self._half and not out.isfinite().all():
                self._half = False
                out = self._forward(batch)
            result: Images = out.permute(0, 2, 3, 1).float().cpu().numpy()
            return result

    @torch.inference_mode()
    def run_after(
        self, image: Images, previous: tuple[UsedStatistics, ...], share: float
    ) -> tuple[Images, tuple[UsedStatistics, ...]]:
        """See `Engine.run_after`."""
        used: list[Tensor] = []

        def normalize(norm: nn.InstanceNorm2d, inputs: tuple[Tensor], output: Tensor) -> Tensor:
            x = inputs[0].float()
            statistics = torch.cat([x.mean((2, 3), keepdim=True), x.var((2, 3), unbiased=False, keepdim=True)])
            if previous:
                before = torch.from_numpy(previous[len(used) % len(previous)]).to(self.facts.device)
                statistics = torch.lerp(statistics, before, share)
            used.append(statistics)
            mean, variance = statistics
            result = F.batch_norm(x, mean.flatten(), variance.flatten(), norm.weight, norm.bias, eps=norm.eps)
            return result.to(output.dtype)

        norms = [self._network.get_submodule(name) for name in self._norms]
        hooks = [norm.register_forward_hook(normalize) for norm in norms]
        try:
            result = self.run(image)
        finally:
            for hook in hooks:
                hook.remove()
        # `run` may have tried half precision first: the last statistics are the ones used.
        return result, tuple(statistics.cpu().numpy() for statistics in used[-len(norms) :])

    @torch.inference_mode()
    def moments(self, tile: Images, rows: slice, columns: slice) -> Moments:
        """See `Engine.moments`."""

        def stop(norm: nn.Module, inputs: tuple[Tensor]) -> None:
            raise _NormReached(inputs[0])

        hook = self._network.get_submodule(self._first_free_norm).register_forward_pre_hook(stop)
        with self._memory_errors():
            try:
                self._network(self._batch(tile[None]))
            except _NormReached as reached:
                features = reached.features[0].float().cpu().numpy()
            finally:
                hook.remove()
        return Moments.of(features_within(features, self._architecture, tile.shape[:2], rows, columns))

    def with_norm(self, statistics: NormStatistics) -> "TorchEngine":
        """See `Engine.with_norm`."""
        engine = copy.copy(self)
        engine._network = copy.deepcopy(self._network)
        free = self._network.get_submodule(self._first_free_norm)
        fixed = nn.BatchNorm2d(free.num_features, eps=free.eps).requires_grad_(False).eval()
        fixed.load_state_dict({"weight": free.weight, "bias": free.bias}, strict=False)
        fixed.running_mean, fixed.running_var = (torch.from_numpy(values).float() for values in statistics)
        engine._network.set_submodule(self._first_free_norm, fixed.to(self.facts.device))
        engine.facts = replace(self.facts, free_norms=self.facts.free_norms - 1)
        return engine

    def replicas(self) -> "list[TorchEngine]":
        """See `Engine.replicas`; torch's threads are shared by the whole process, so there is only one engine."""
        return [self]

    @property
    def _first_free_norm(self) -> str:
        return self._norms[-self.facts.free_norms]

    def _batch(self, images: Images) -> Tensor:
        pixels, device = images[..., 0].size, self.facts.device
        if device.startswith("cuda") and pixels > _MOST_CUDA_PIXELS:
            raise OutOfMemory(f"{pixels:,} pixels are too many at once for {device}.", "Use --tile auto.")
        return torch.from_numpy(images).to(device).permute(0, 3, 1, 2).contiguous(memory_format=self._layout)

    def _forward(self, batch: Tensor) -> Tensor:
        with torch.autocast(self.facts.device.partition(":")[0], torch.float16, enabled=self._half):
            out: Tensor = self._network(batch)
            return out

    def _memory_errors(self) -> AbstractContextManager[None]:
        return memory_errors(self.facts.device, "Use --max-size 1000, a larger --stroke-size, or another --device.")


class _NormReached(Exception):
    """Stops a run at a normalization, and carries the input of that normalization."""

    def __init__(self, features: Tensor) -> None:
        self.features = features

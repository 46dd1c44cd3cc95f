"""Networks run by onnxruntime on the CPU: faster there than torch, and without the seconds that importing it takes."""

import contextlib
import os
from collections.abc import Mapping, Sequence
from functools import cache, cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # else it would tell its makers of each run
import onnxruntime
from onnxruntime.capi.onnxruntime_pybind11_state import Fail, RuntimeException

from stylekit.engines.moments import Moments, features_within
from stylekit.engines.protocol import Pictures, UsedStatistics
from stylekit.networks import architecture
from stylekit.networks.shapes import Statistics
from stylekit.styles.style_file import StyleFile
from stylekit.system.memory import memory_errors
from stylekit.system.processors import usable_cores

_ERRORS_ONLY = 3  # onnxruntime's log level


@cache
def _share_arena() -> None:
    """Let all sessions of this process draw on one arena, which keeps the memory of the largest run for the next.

    Each would keep one of its own, up to three times as large.
    """
    memory = onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    with contextlib.suppress(Fail):  # the program may have made one already
        onnxruntime.create_and_register_allocator(memory, onnxruntime.OrtArenaCfg(0, -1, -1, -1))


class OnnxruntimeEngine:
    """Runs a network with onnxruntime on the CPU; see `Engine`."""

    device = "cpu"
    _largest_run = 0  # bytes, of all engines

    def __init__(self, style: StyleFile, *, threads: int | None, norms: Sequence[Statistics] = ()) -> None:
        self._style = style
        self._threads = threads
        self._norms = norms
        self._network_kind = architecture(style.metadata.network)
        config = style.metadata.network_config
        self.reach = self._network_kind.receptive_radius(config)
        names = self._network_kind.norm_names(config)
        self._norm_widths = [len(style.weights[f"{name}.weight"]) for name in names]
        self.norms_in_turn = len(names)
        self.free_norms = self.norms_in_turn - len(norms)
        self.pixel_bytes = self._network_kind.bytes_per_pixel(config)

    @cached_property
    def _network(self) -> onnxruntime.InferenceSession:
        return self._session(self._norms or None)

    @cached_property
    def _up_to_free_norm(self) -> onnxruntime.InferenceSession:
        return self._session(self._norms)

    @cached_property
    def _smoothing(self) -> onnxruntime.InferenceSession:
        return self._session(None, smooths=True)

    def _session(self, norms: Sequence[Statistics] | None, *, smooths: bool = False) -> onnxruntime.InferenceSession:
        _share_arena()
        options = onnxruntime.SessionOptions()
        options.add_session_config_entry("session.use_env_allocators", "1")
        options.enable_mem_pattern = False  # planned allocation takes more memory, and no less time
        options.intra_op_num_threads = self._threads or 0  # 0 leaves it to onnxruntime
        options.log_severity_level = _ERRORS_ONLY
        about = self._style.metadata
        graph = architecture(about.network).onnx_model(
            about.network_config, self._style.weights, norms, smooths=smooths
        )
        return onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])

    def run(self, pictures: Pictures) -> Pictures:
        """See `Engine.run`."""
        result: Pictures = self._outputs(self._network, pictures)[0].transpose(0, 2, 3, 1)
        return result

    def run_after(
        self, picture: Pictures, last: tuple[UsedStatistics, ...], share: float
    ) -> tuple[Pictures, tuple[UsedStatistics, ...]]:
        """See `Engine.run_after`."""
        values = last or tuple(np.zeros((2, width, 1, 1), np.float32) for width in self._norm_widths)
        known: dict[str, Any] = {f"last_{number}": array for number, array in enumerate(values)}
        known["share"] = np.asarray(share if last else 0, np.float32)
        result, *used = self._outputs(self._smoothing, picture, known)
        return result.transpose(0, 2, 3, 1), tuple(used)

    @property
    def held_bytes(self) -> int:
        """See `Engine`."""
        return OnnxruntimeEngine._largest_run

    def moments(self, tile: Pictures, rows: slice, columns: slice) -> Moments:
        """See `Engine.moments`."""
        features = self._outputs(self._up_to_free_norm, tile[None])[0][0]
        return Moments.of(features_within(features, self._network_kind, tile.shape[:2], rows, columns))

    def with_norm(self, statistics: Statistics) -> "OnnxruntimeEngine":
        """See `Engine.with_norm`."""
        return OnnxruntimeEngine(self._style, threads=self._threads, norms=(*self._norms, statistics))

    def replicas(self) -> "list[OnnxruntimeEngine]":
        """See `Engine.replicas`."""
        return self._replicas

    @cached_property
    def _replicas(self) -> "list[OnnxruntimeEngine]":
        threads = self._threads or usable_cores()
        if threads == 1:
            return [self]
        halves = [
            OnnxruntimeEngine(self._style, threads=number, norms=self._norms)
            for number in (threads // 2, threads - threads // 2)
        ]
        for half in halves:
            half.pixel_bytes *= len(halves)  # all that run at once share what is free
        return halves

    def _outputs(
        self, session: onnxruntime.InferenceSession, pictures: Pictures, others: Mapping[str, Any] | None = None
    ) -> list[NDArray[Any]]:
        with memory_errors(self.device, "Use --max-size 1000, or a larger --stroke-size."):
            batch = np.ascontiguousarray(pictures.transpose(0, 3, 1, 2))
            try:
                out: list[NDArray[Any]] = session.run(None, {"photo": batch, **(others or {})})
            except RuntimeException as error:
                if "alloc" in str(error):  # "Failed to allocate memory", "bad_alloc"
                    raise MemoryError from None
                raise
            OnnxruntimeEngine._largest_run = max(self._largest_run, pictures[..., 0].size * self.pixel_bytes)
            return out

"""An engine that runs networks on the CPU with onnxruntime, which runs and imports faster than torch."""

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache, cached_property, partial
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # no phoning home
import onnxruntime
from onnxruntime.capi.onnxruntime_pybind11_state import Fail, RuntimeException

from stylekit.engines.graph_cache import cached_graph_path, read_graph, store_graph
from stylekit.engines.moments import Moments, features_within
from stylekit.engines.protocol import EngineFacts, Images, UsedStatistics
from stylekit.networks import architecture
from stylekit.networks.shapes import NormStatistics
from stylekit.styles.style_file import StyleFile
from stylekit.system.memory import memory_errors
from stylekit.system.processors import usable_cores

_ERRORS_ONLY = 3  # onnxruntime's log level
_PROVIDERS = ["CPUExecutionProvider"]

_building = Lock()


@cache
def _share_arena() -> None:
    """Let all sessions of this process share one memory arena.

    An arena keeps the memory of its largest run for later runs. One arena per session would take up to three times as
    much.
    """
    memory = onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    with contextlib.suppress(Fail):  # the calling program may have registered one already
        onnxruntime.create_and_register_allocator(memory, onnxruntime.OrtArenaCfg(0, -1, -1, -1))


class OnnxruntimeEngine:
    """Runs a network with onnxruntime on the CPU; see `Engine`.

    Args:
        style: The network and its weights.
        threads: CPU threads; None leaves the choice to onnxruntime.
        norms: Mean and variance of each channel for the fixed normalizations, in the order of the network.
    """

    _largest_run = 0  # bytes, over all engines

    def __init__(self, style: StyleFile, *, threads: int | None, norms: Sequence[NormStatistics] = ()) -> None:
        """Prepare the network, which is loaded when it first runs."""
        self._style = style
        self._threads = threads
        self._norms = norms
        self._architecture = architecture(style.metadata.network)
        config = style.metadata.network_config
        names = self._architecture.norm_names(config)
        self._norm_widths = [len(style.weights[f"{name}.weight"]) for name in names]
        self.facts = EngineFacts(
            name="onnxruntime",
            device="cpu",
            receptive_radius=self._architecture.receptive_radius(config),
            free_norms=len(names) - len(norms),
            norm_depth=len(names),
            bytes_per_pixel=self._architecture.bytes_per_pixel(config),
        )

    @cached_property
    def _network(self) -> onnxruntime.InferenceSession:
        return self._session(self._norms or None)

    @cached_property
    def _up_to_free_norm(self) -> onnxruntime.InferenceSession:
        return self._session(self._norms)

    @cached_property
    def _smoothing(self) -> onnxruntime.InferenceSession:
        return self._session(None, smooths=True)

    def _session(
        self, norms: Sequence[NormStatistics] | None, *, smooths: bool = False
    ) -> onnxruntime.InferenceSession:
        _share_arena()
        build = partial(self._build, norms, smooths)
        if norms is not None:  # of a single image
            return build()
        path = cached_graph_path(self._style, smooths=smooths)
        with _building:  # of several replicas, one builds the graph, and the others read it
            return self._load(path) or store_graph(path, build) or build()

    def _build(
        self, norms: Sequence[NormStatistics] | None, smooths: bool, stored: Path | None = None
    ) -> onnxruntime.InferenceSession:
        """Build and optimize the graph, and write the optimized graph to the path `stored`, if given."""
        options = self._options()
        if stored is not None:
            options.add_session_config_entry("session.save_model_format", "ORT")
            options.optimized_model_filepath = str(stored)
        config = self._style.metadata.network_config
        graph = self._architecture.onnx_model(config, self._style.weights, norms, smooths=smooths)
        return onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=_PROVIDERS)

    def _load(self, path: Path) -> onnxruntime.InferenceSession | None:
        """Load an optimized graph from the cache, if it is there."""
        if (graph := read_graph(path)) is None:
            return None
        options = self._options()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        try:
            return onnxruntime.InferenceSession(graph, options, providers=_PROVIDERS)
        except Exception:  # those of onnxruntime have no other base
            return None  # the graph is built instead, and replaces it

    def _options(self) -> onnxruntime.SessionOptions:
        options = onnxruntime.SessionOptions()
        options.add_session_config_entry("session.use_env_allocators", "1")
        options.enable_mem_pattern = False  # planned allocation takes more memory and is no faster
        options.intra_op_num_threads = self._threads or 0  # 0 leaves the choice to onnxruntime
        options.log_severity_level = _ERRORS_ONLY
        return options

    def run(self, images: Images) -> Images:
        """See `Engine.run`."""
        result: Images = self._outputs(self._network, images)[0].transpose(0, 2, 3, 1)
        return result

    def run_after(
        self, image: Images, previous: tuple[UsedStatistics, ...], share: float
    ) -> tuple[Images, tuple[UsedStatistics, ...]]:
        """See `Engine.run_after`."""
        values = previous or tuple(np.zeros((2, width, 1, 1), np.float32) for width in self._norm_widths)
        inputs: dict[str, Any] = {f"last_{number}": array for number, array in enumerate(values)}
        inputs["share"] = np.asarray(share if previous else 0, np.float32)
        result, *used = self._outputs(self._smoothing, image, inputs)
        return result.transpose(0, 2, 3, 1), tuple(used)

    @property
    def held_bytes(self) -> int:
        """See `Engine.held_bytes`."""
        return OnnxruntimeEngine._largest_run

    def moments(self, tile: Images, rows: slice, columns: slice) -> Moments:
        """See `Engine.moments`."""
        features = self._outputs(self._up_to_free_norm, tile[None])[0][0]
        return Moments.of(features_within(features, self._architecture, tile.shape[:2], rows, columns))

    def with_norm(self, statistics: NormStatistics) -> "OnnxruntimeEngine":
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
        replicas = [
            OnnxruntimeEngine(self._style, threads=number, norms=self._norms)
            for number in (threads // 2, threads - threads // 2)
        ]
        memory = len(replicas) * self.facts.bytes_per_pixel  # all replicas run at the same time
        for replica in replicas:
            replica.facts = replace(replica.facts, bytes_per_pixel=memory)
        return replicas

    def _outputs(
        self, session: onnxruntime.InferenceSession, images: Images, inputs: Mapping[str, Any] | None = None
    ) -> list[NDArray[Any]]:
        """Run a session on images, with other inputs by name, and return its outputs in channels-first order."""
        with memory_errors(self.facts.device, "Use --max-size 1000, or a larger --stroke-size."):
            batch = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
            try:
                out: list[NDArray[Any]] = session.run(None, {"photo": batch, **(inputs or {})})
            except RuntimeException as error:
                if "alloc" in str(error):  # "Failed to allocate memory", "bad_alloc"
                    raise MemoryError from None
                raise
            taken = images[..., 0].size * self.facts.bytes_per_pixel
            OnnxruntimeEngine._largest_run = max(self._largest_run, taken)
            return out

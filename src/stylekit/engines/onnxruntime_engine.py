"""Networks run by onnxruntime on the CPU: faster there than torch, and without the seconds that importing it takes."""

import numpy as np
import onnxruntime
from onnxruntime.capi.onnxruntime_pybind11_state import RuntimeException

from stylekit.device import memory_errors
from stylekit.engines import Pictures
from stylekit.networks.onnx_graph import build_graph
from stylekit.style_file import StyleFile

_ERRORS_ONLY = 3  # onnxruntime's log level


class OnnxruntimeEngine:
    """Runs a network with onnxruntime on the CPU; see `Engine`."""

    device = "cpu"

    def __init__(self, style: StyleFile, *, threads: int | None) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 0  # 0 leaves it to onnxruntime
        options.log_severity_level = _ERRORS_ONLY
        graph = build_graph(style.metadata.network, style.metadata.network_config, style.weights)
        self._session = onnxruntime.InferenceSession(
            graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def run(self, pictures: Pictures) -> Pictures:
        """See `Engine.run`."""
        with memory_errors(self.device, "Use --max-size 1000, or a larger --stroke-size."):
            batch = np.ascontiguousarray(pictures.transpose(0, 3, 1, 2))
            try:
                (out,) = self._session.run(None, {"photo": batch})
            except RuntimeException as error:
                if "alloc" in str(error):  # "Failed to allocate memory", "bad_alloc"
                    raise MemoryError from None
                raise
            result: Pictures = out.transpose(0, 2, 3, 1)
            return result

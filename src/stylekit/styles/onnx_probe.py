"""Run a foreign ONNX graph and stylekit's graph on an image; `onnx_import` starts this file as a separate process.

A graph may crash onnxruntime, or use unlimited memory or time, which then affects only this process.
"""

import io
import sys
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

_MAX_BYTES = 3 << 30
_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64}


def run(theirs: bytes, ours: bytes, photo: NDArray[np.float32]) -> dict[str, NDArray[np.float64]]:
    """Return the results of two graphs for a photo, scaled to values up to 255.

    Args:
        theirs: A foreign graph, which takes and returns values up to 255 or up to 1.
        ours: Stylekit's graph, which takes and returns values up to 1.
        photo: `(1, 3, H, W)` in [0, 1].

    Returns:
        `theirs`: two results of the foreign graph, run with values up to 255 and with values up to 1; `ours`: the
        result of stylekit's graph; `ours_of_bgr`: its result for the photo with reversed channels.
    """
    foreign, own = _session(theirs), _session(ours)
    return {
        "theirs": np.stack([_output(foreign, photo * 255), _output(foreign, photo) * 255]),
        "ours": _output(own, photo) * 255,
        "ours_of_bgr": _output(own, photo[:, ::-1]) * 255,
    }


def _session(model: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _output(session: onnxruntime.InferenceSession, image: NDArray[np.float32]) -> NDArray[np.float64]:
    source = session.get_inputs()[0]
    inputs = {source.name: np.ascontiguousarray(image, _TYPES[source.type])}
    output: NDArray[np.float64] = np.asarray(session.run(None, inputs)[0], np.float64)
    return output


def _limit_memory() -> None:
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MAX_BYTES, _MAX_BYTES))
    except (ImportError, ValueError, OSError):  # Windows and macOS have no such limit
        pass


if __name__ == "__main__":
    _limit_memory()
    with np.load(io.BytesIO(sys.stdin.buffer.read())) as job:
        theirs, ours, photo = (job[name] for name in job.files)
    outputs: dict[str, Any] = run(theirs.tobytes(), ours.tobytes(), photo)
    np.savez(sys.stdout.buffer, **outputs)

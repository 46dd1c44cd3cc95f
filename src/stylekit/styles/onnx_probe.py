"""Runs a foreign ONNX graph and stylekit's own on an image; `onnx_import` starts this file as a process of its own.

A graph may crash onnxruntime, or take memory or time without bounds; here it costs only this process.
"""

import io
import sys
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

_MOST_BYTES = 3 << 30
_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64}


def run(theirs: bytes, ours: bytes, photo: NDArray[np.float32]) -> dict[str, NDArray[np.float64]]:
    """Return what two graphs compute, with values up to 255.

    Args:
        theirs: A foreign graph, for values up to 255 or up to 1.
        ours: A graph of stylekit's, for values up to 1.
        photo: `(1, 3, H, W)` in [0, 1].

    Returns:
        `theirs`: the foreign graph's first output if its values are up to 255, and if they are up to 1; `ours`:
        stylekit's output; `ours_of_bgr`: stylekit's output for the photo with its channels reversed.
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

        resource.setrlimit(resource.RLIMIT_AS, (_MOST_BYTES, _MOST_BYTES))
    except (ImportError, ValueError, OSError):  # Windows and macOS lack the limit
        pass


if __name__ == "__main__":
    _limit_memory()
    with np.load(io.BytesIO(sys.stdin.buffer.read())) as job:
        theirs, ours, photo = (job[name] for name in job.files)
    outputs: dict[str, Any] = run(theirs.tobytes(), ours.tobytes(), photo)
    np.savez(sys.stdout.buffer, **outputs)

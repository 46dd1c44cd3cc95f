"""Compare ways of using the threads of a CPU: waiting by spinning or not, one network or two with half of the threads.

    python benchmarks/threads.py [--runs 9] [--sizes 640x360 1200x800] [--busy]

For each size, onnxruntime runs the default style's network in different ways, which take turns, on all usable cores.
Prints the median seconds per image, by the clock and of processor time, and each way's largest difference to the first
way's result. `--busy` adds a process per core that computes all the time.
"""

import argparse
import contextlib
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnxruntime

from stylekit.config.apply import DEFAULT_STYLE
from stylekit.networks import architecture
from stylekit.styles.library import load_style_file_by_name
from stylekit.system.processors import usable_cores

BUSY = "import numpy as np; a = np.ones((512, 512), np.float32)\nwhile True: a @ a"


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--sizes", nargs="*", default=["640x360", "1200x800"])
    parser.add_argument("--busy", action="store_true")
    options = parser.parse_args()
    cores = usable_cores()
    ways = {
        "spinning": [session(cores)],
        "waiting": [session(cores, spins=False)],
        "spinning, small blocks": [session(cores, blocks=True)],
        "waiting, small blocks": [session(cores, spins=False, blocks=True)],
        "one thread": [session(1)],
    }
    if cores > 1:
        ways["two networks, spinning"] = [session(cores // 2), session(cores - cores // 2)]
        ways["two networks, waiting"] = [session(cores // 2, spins=False), session(cores - cores // 2, spins=False)]
    with others(cores if options.busy else 0):
        for size in options.sizes:
            compare(ways, size, options.runs)


def session(threads: int, *, spins: bool = True, blocks: bool = False) -> onnxruntime.InferenceSession:
    """Return the default style's network."""
    options = onnxruntime.SessionOptions()
    options.enable_mem_pattern = False
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spins)))
    if blocks:
        options.add_session_config_entry("session.dynamic_block_base", "4")
    style = load_style_file_by_name(DEFAULT_STYLE)
    graph = architecture(style.metadata.network).onnx_model(style.metadata.network_config, style.weights)
    return onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])


def compare(ways: dict[str, list[onnxruntime.InferenceSession]], size: str, runs: int) -> None:
    """Print the seconds per image of each way."""
    width, height = map(int, size.split("x"))
    photo = {"photo": np.random.default_rng(0).random((1, 3, height, width), np.float32)}
    reference = ways["spinning"][0].run(None, photo)[0]
    times: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    differences: dict[str, float] = {}
    with ThreadPoolExecutor(2) as threads:
        for _ in range(runs + 1):
            for way, sessions in ways.items():
                clock, processor = time.perf_counter(), time.process_time()
                results = list(threads.map(lambda network: network.run(None, photo)[0], sessions))
                spent = time.perf_counter() - clock, time.process_time() - processor
                times[way].append((spent[0] / len(sessions), spent[1] / len(sessions)))
                differences[way] = max(float(np.abs(result - reference).max()) for result in results)
    print(f"\n{size:24} by the clock   processor time   difference, of 255")
    for way, measured in times.items():
        clock, processor = (statistics.median(values) for values in zip(*measured[1:], strict=True))
        print(f"{way:24} {clock:10.3f} s {processor:14.3f} s {255 * differences[way]:16.4f}")


@contextlib.contextmanager
def others(number: int) -> Iterator[None]:
    """Run processes that compute during the block."""
    processes = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(number)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


if __name__ == "__main__":
    main()

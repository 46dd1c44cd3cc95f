"""The transformer networks on a CPU: seconds for a megapixel, multiply-adds, parameters.

    python benchmarks/networks.py [--side 1000] [--runs 5]

`johnson` is run plainly, as pytorch/examples does (torch, eager, NCHW), and by stylekit; `fast` by stylekit. Runs
alternate, medians are printed, so that a busy machine slows all alike.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from stylekit.engines import build_engine
from stylekit.networks import build_network
from stylekit.style_file import StyleFile, StyleMetadata


def multiply_adds(network: nn.Module, photo: torch.Tensor) -> float:
    """Multiply-adds of the learnt convolutions for a pixel of the photo `(1, 3, H, W)`."""
    counted = []

    def count(module: nn.Module, inputs: tuple[torch.Tensor], out: torch.Tensor) -> None:
        counted.append(module.weight[0].numel() * out[0].numel())  # type: ignore[index]

    hooks = [module.register_forward_hook(count) for module in network.modules() if isinstance(module, nn.Conv2d)]
    network(photo)
    for hook in hooks:
        hook.remove()
    return sum(counted) / photo[0, 0].numel()


def seconds(run: Callable[[], object]) -> float:
    """How long a call takes."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


@torch.inference_mode()
def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=1000, help="side of the square photo in px")
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    photo = np.random.default_rng(0).random((1, options.side, options.side, 3), np.float32)
    plain = torch.from_numpy(photo.transpose(0, 3, 1, 2).copy())
    networks = {name: build_network(name).eval() for name in ("johnson", "fast")}
    runs: dict[str, Callable[[], object]] = {"johnson, plainly": lambda: networks["johnson"](plain)}
    for name, network in networks.items():
        weights = {key: tensor.numpy() for key, tensor in network.state_dict().items()}
        file = StyleFile(StyleMetadata(name=name, network=name), weights)
        engine = build_engine(file, device="cpu", threads=torch.get_num_threads())
        runs[f"{name}, stylekit"] = lambda engine=engine: engine.run(photo)  # type: ignore[misc]
    for run in runs.values():
        run()
    times = {label: statistics.median(column) for label, column in _alternating(runs, options.runs).items()}
    print(f"{options.side}² px, median of {options.runs} runs, {torch.get_num_threads()} threads")
    print(f"{'network':18} {'seconds':>8} {'faster':>7} {'multiply-adds/px':>17} {'parameters':>11}")
    for label, duration in times.items():
        network = networks[label.partition(",")[0]]
        parameters = sum(parameter.numel() for parameter in network.parameters())
        ratio = times["johnson, plainly"] / duration
        print(f"{label:18} {duration:8.3f} {ratio:6.1f}x {multiply_adds(network, plain):17,.0f} {parameters:11,}")


def _alternating(runs: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {label: [] for label in runs}
    for _ in range(rounds):
        for label, run in runs.items():
            times[label].append(seconds(run))
    return times


if __name__ == "__main__":
    main()

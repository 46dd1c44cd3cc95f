"""Measure the transformer networks on a CPU: seconds per megapixel, multiply-adds, parameters.

    python benchmarks/networks.py [--side 1000] [--runs 5]

`johnson` is run plainly, as in pytorch/examples (torch, eager, NCHW), and by stylekit, in onnxruntime and in torch;
`fast` and `unet` by stylekit. Runs alternate, so that other load on the machine slows all alike; it prints the medians.
"""

import argparse
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from measuring import median_seconds, plain_network, random_style
from stylekit.engines import build_engine


def multiply_adds(network: nn.Module, photo: torch.Tensor) -> float:
    """Return the multiply-adds of the learned convolutions per pixel of a photo `(1, 3, H, W)`."""
    counted = []

    def count(module: nn.Module, inputs: tuple[torch.Tensor], out: torch.Tensor) -> None:
        counted.append(module.weight[0].numel() * out[0].numel())  # type: ignore[index]

    hooks = [module.register_forward_hook(count) for module in network.modules() if isinstance(module, nn.Conv2d)]
    network(photo)
    for hook in hooks:
        hook.remove()
    return sum(counted) / photo[0, 0].numel()


@torch.inference_mode()
def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=1000, help="side of the square photo in px")
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    photo = np.random.default_rng(0).random((1, options.side, options.side, 3), np.float32)
    plain = torch.from_numpy(photo.transpose(0, 3, 1, 2).copy())
    styles = {name: random_style(name) for name in ("johnson", "fast", "unet")}
    networks = {name: plain_network(style) for name, style in styles.items()}
    runs: dict[str, Callable[[], object]] = {"johnson, plainly": lambda: networks["johnson"](plain)}
    for name, style in styles.items():
        engine = build_engine(style, device="cpu", threads=torch.get_num_threads())
        runs[f"{name}, stylekit"] = lambda engine=engine: engine.run(photo)  # type: ignore[misc]
    torch_engine = build_engine(styles["johnson"], device="cpu", engine="torch")
    runs["johnson, torch"] = lambda: torch_engine.run(photo)
    counts = {name: multiply_adds(network, plain) for name, network in networks.items()}
    times = median_seconds(runs, options.runs)
    print(f"{options.side}² px, median of {options.runs} runs, {torch.get_num_threads()} threads")
    print(f"{'network':18} {'seconds':>8} {'faster':>7} {'multiply-adds/px':>17} {'parameters':>11}")
    for label, duration in times.items():
        name = label.partition(",")[0]
        parameters = sum(parameter.numel() for parameter in networks[name].parameters())
        ratio = times["johnson, plainly"] / duration
        print(f"{label:18} {duration:8.3f} {ratio:6.1f}x {counts[name]:17,.0f} {parameters:11,}")


if __name__ == "__main__":
    main()

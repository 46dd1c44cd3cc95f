"""Compare the compact loss network with VGG-19: results of `gatys` in equal time and equal steps, judged by VGG-19.

    python benchmarks/loss_networks.py PHOTO... --paintings FILE... --output FOLDER [--loss-weights FILE]

It first measures how long a step takes with each network, and takes as many as fit the time. For each photo and
painting it prints the seconds and steps taken, and content, style and objective as `benchmarks/quality.py` judges them,
by the layers of the losses. The results are written to the folder: numbers alone do not show colored noise.
"""

import argparse
import itertools
import statistics
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from quality import STYLE_LAYERS, criterion, load, mark, tensor
from stylekit import GatysConfig, gatys
from stylekit.losses.weights import find_loss_weights, read_loss_weights
from stylekit.optimization.scales import GatysReport

NETWORKS = ("vgg19", "compact")
TRIAL_STEPS = 8


def paint(photo: Image.Image, painting: Path, config: GatysConfig) -> tuple[Image.Image, list[GatysReport]]:
    """Stylize a photo; return the result and the reports of all steps."""
    reports: list[GatysReport] = []
    return gatys(photo, painting, config, on_step=reports.append), reports


def step_seconds(reports: Sequence[GatysReport]) -> float:
    """Return the median seconds of a step at the last scale."""
    last = [report.seconds for report in reports if report.scale == report.scales]
    return statistics.median(later - earlier for earlier, later in itertools.pairwise(last))


def main() -> None:
    """Print the table, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", nargs="+", type=Path)
    parser.add_argument("--paintings", nargs="+", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--seconds", type=float, nargs="+", default=[30.0, 60.0])
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--loss-weights", type=Path)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    path = find_loss_weights(options.loss_weights)
    weights = {name: torch.from_numpy(array) for name, array in read_loss_weights(path).items()}

    def config(network: str, steps: int) -> GatysConfig:
        file = str(path) if network == "vgg19" else None
        return GatysConfig(
            size=options.size,
            steps=steps,
            content_layers=("relu3_3",),
            style_layers=STYLE_LAYERS,
            loss_network=network,
            loss_weights=file,
            device="cpu",
        )

    photos = {path.stem: load(path, longer=options.size) for path in options.photos}
    first = Image.fromarray(next(iter(photos.values())))
    trials = {name: paint(first, options.paintings[0], config(name, TRIAL_STEPS))[1] for name in NETWORKS}
    each = {name: step_seconds(reports) for name, reports in trials.items()}
    overhead = {name: reports[-1].seconds / each[name] / TRIAL_STEPS for name, reports in trials.items()}
    print(
        f"a step at {options.size} px: {each['vgg19']:.2f} s with vgg19, {each['compact']:.2f} s with compact: ", end=""
    )
    print(f"{each['vgg19'] / each['compact']:.1f} times faster", flush=True)
    runs = {
        f"{name} {seconds:.0f} s": (name, max(1, round(seconds / each[name] / overhead[name])))
        for seconds in options.seconds
        for name in NETWORKS
    }
    runs["compact equal"] = ("compact", runs[f"vgg19 {options.seconds[-1]:.0f} s"][1])
    print(
        f"{'photo':12} {'painting':14} {'by':14} {'seconds':>7} {'steps':>5} {'content':>8} {'style':>8} {'total':>9}"
    )
    for painting in options.paintings:
        judge = criterion(painting, weights)
        for photo, pixels in photos.items():
            for by, (network, steps) in runs.items():
                result, reports = paint(Image.fromarray(pixels), painting, config(network, steps))
                result.save(options.output / f"{photo}-{painting.stem}-{by.replace(' ', '-')}.png")
                m = mark(judge, tensor(np.asarray(result)), tensor(pixels))
                print(
                    f"{photo:12} {painting.stem:14} {by:14} {reports[-1].seconds:7.1f} {steps:5} "
                    f"{m.content:8.3f} {m.style:8.4f} {m.objective:9.3f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()

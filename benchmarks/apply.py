"""Compare `stylekit apply` with a plain loop: one file after another through johnson in eager mode.

    python benchmarks/apply.py [--style NAME|FILE] [--photos 200] [--plain-photos 5] [--side 1000] [--rounds 3]

Both stylize generated photos from JPEG to JPEG on the CPU. johnson's weights are random, which does not change its
speed, and the plain loop gets only the first few photos. Rounds alternate, so that other load on the machine slows both
alike. It prints the medians and their ratio.
"""

import argparse
import statistics
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from measuring import plain_network, random_style, seconds
from stylekit.apply.run import apply_styles
from stylekit.config.apply import DEFAULT_STYLE, ApplyConfig


def make_photos(folder: Path, number: int, side: int) -> None:
    """Write JPEGs that resemble photos: smooth structures at several scales with some noise."""
    random = np.random.default_rng(0)
    for index in range(number):
        image = np.zeros((side, side, 3))
        for scale in (8, 32, 128):
            coarse = Image.fromarray(random.integers(0, 256, (scale, scale, 3), dtype=np.uint8))
            image += np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC)) / 3
        noisy = (image + random.normal(0, 4, image.shape)).clip(0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(folder / f"{index:03}.jpg", quality=92)


@torch.no_grad()
def plain_loop(network: nn.Module, photos: Sequence[Path], output: Path) -> None:
    """Decode, stylize and encode one file after another."""
    for path in photos:
        photo = torch.from_numpy(np.array(Image.open(path).convert("RGB"))).permute(2, 0, 1)[None].float() / 255
        result = (network(photo)[0].clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
        Image.fromarray(result).save(output / path.name, quality=92, subsampling=0)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--style", default=DEFAULT_STYLE)
    parser.add_argument("--photos", type=int, default=200)
    parser.add_argument("--plain-photos", type=int, default=5)
    parser.add_argument("--side", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    network = plain_network(random_style("johnson"))
    rates: dict[str, list[float]] = {"johnson, plain loop": [], "stylekit apply": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photos = folder / "photos"
        photos.mkdir()
        make_photos(photos, options.photos, options.side)
        some = sorted(photos.iterdir())[: options.plain_photos]
        for number in range(options.rounds):
            plain, ours = folder / f"plain-{number}", folder / f"ours-{number}"
            plain.mkdir()
            rates["johnson, plain loop"].append(len(some) / seconds(partial(plain_loop, network, some, plain)))
            apply = partial(apply_styles, [photos], ours, [options.style], ApplyConfig(device="cpu"))
            rates["stylekit apply"].append(options.photos / seconds(apply))
    print(f"{options.photos} photos of {options.side}² px, {options.style}, {torch.get_num_threads()} threads")
    medians = {label: statistics.median(values) for label, values in rates.items()}
    for label, values in rates.items():
        print(f"{label:20} {medians[label]:6.2f} images/s  (rounds: {', '.join(f'{v:.2f}' for v in values)})")
    print(f"{'ratio':20} {medians['stylekit apply'] / medians['johnson, plain loop']:6.2f}")


if __name__ == "__main__":
    main()

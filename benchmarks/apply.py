"""Compare `stylekit apply` with the plain loop: one file after another through the eager network.

    python benchmarks/apply.py [--style NAME|FILE] [--photos 20] [--size 1024] [--rounds 3]

Both stylise the same generated photos from JPEG to JPEG, with one thread pool and one network load that is not
counted. Rounds alternate, so that a noisy machine disturbs both alike; medians are printed, and their ratio.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from stylekit.batch import apply_styles
from stylekit.library import load_style_file_by_name
from stylekit.networks import build_network
from stylekit.style_file import StyleFile


def make_photos(folder: Path, number: int, size: int) -> None:
    """Write photo-like JPEGs: smooth structures at several scales with some noise."""
    random = np.random.default_rng(0)
    for index in range(number):
        picture = np.zeros((size * 2 // 3, size, 3))
        for scale in (8, 32, 128):
            coarse = Image.fromarray(random.integers(0, 256, (scale * 2 // 3, scale, 3), dtype=np.uint8))
            picture += np.asarray(coarse.resize((size, size * 2 // 3), Image.Resampling.BICUBIC)) / 3
        noisy = (picture + random.normal(0, 4, picture.shape)).clip(0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(folder / f"{index:03}.jpg", quality=92)


def plain_network(file: StyleFile) -> torch.nn.Module:
    """Build the network as scripts do: eager, in the default layout."""
    network = build_network(file.metadata.network, file.metadata.network_config)
    network.load_state_dict({name: torch.from_numpy(a.astype(np.float32)) for name, a in file.weights.items()})
    return network.eval()


@torch.no_grad()
def plain_loop(network: torch.nn.Module, photos: Path, output: Path) -> None:
    """One file after another: decode, run, encode."""
    for path in sorted(photos.iterdir()):
        photo = torch.from_numpy(np.asarray(Image.open(path).convert("RGB"))).permute(2, 0, 1)[None].float() / 255
        picture = (network(photo)[0].clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
        Image.fromarray(picture).save(output / path.name, quality=92, subsampling=0)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--style", default="starry-night")
    parser.add_argument("--photos", type=int, default=20)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    file = load_style_file_by_name(arguments.style)
    network = plain_network(file)
    rates: dict[str, list[float]] = {"plain loop": [], "stylekit apply": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photos = folder / "photos"
        photos.mkdir()
        make_photos(photos, arguments.photos, arguments.size)
        for number in range(arguments.rounds):
            plain = folder / f"plain-{number}"
            plain.mkdir()
            began = time.perf_counter()
            plain_loop(network, photos, plain)
            rates["plain loop"].append(arguments.photos / (time.perf_counter() - began))
            began = time.perf_counter()
            apply_styles([photos], folder / f"ours-{number}", [arguments.style])
            rates["stylekit apply"].append(arguments.photos / (time.perf_counter() - began))
    print(
        f"{arguments.photos} photos of {arguments.size} px, {file.metadata.network}, {torch.get_num_threads()} threads"
    )
    for label, values in rates.items():
        print(
            f"{label:16} {statistics.median(values):6.2f} images/s  (rounds: {', '.join(f'{v:.2f}' for v in values)})"
        )
    ours, theirs = (statistics.median(rates[label]) for label in ("stylekit apply", "plain loop"))
    print(f"{'ratio':16} {ours / theirs:6.2f}")


if __name__ == "__main__":
    main()

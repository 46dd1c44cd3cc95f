"""Measure how good styles are: their losses on photos, compared with optimization (Gatys et al. 2015).

    python benchmarks/quality.py PHOTO... --paintings FOLDER [--styles NAME...] [--loss-weights FILE]

For each photo and style it prints the relative content loss (relu3_3), the relative style loss (relu1_1 to relu4_1,
with the painting at 512 px), the objective content + 20 × style, and the grid score: how far the result's spectrum
rises above its surroundings at periods of 2 and 4 px (1 is not at all, 3 is visible). Below each it prints the same for
15, 30 and 50 steps of L-BFGS on this objective, from the photo and at one scale.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from stylekit import load_style
from stylekit.config.checks import MAX_PIXELS
from stylekit.images.reading import load_photo
from stylekit.losses.perceptual import PerceptualLoss
from stylekit.losses.vgg import VggFeatures
from stylekit.losses.weights import find_loss_weights, read_loss_weights
from stylekit.styles.locations import bundled_styles_dir

STYLE_LAYERS = {f"relu{block}_1": 1.0 for block in range(1, 5)}
STYLE_WEIGHT = 20.0
PAINTING_SIDE = 512


class Mark(NamedTuple):
    """Losses and grid score of a result."""

    content: float
    style: float
    objective: float
    grid: float


def tensor(pixels: NDArray[np.uint8]) -> Tensor:
    """Return `(H, W, 3)` as `(1, 3, H, W)` in [0, 1]."""
    return torch.from_numpy(np.divide(pixels, 255, dtype=np.float32)).permute(2, 0, 1)[None]


def load(path: Path, *, shorter: int | None = None, longer: int | None = None) -> NDArray[np.uint8]:
    """Read an image, scaled to a shorter side, or reduced to a longer one."""
    image = Image.fromarray(load_photo(path, max_pixels=MAX_PIXELS).pixels)
    scale = shorter / min(image.size) if shorter else min(1, (longer or max(image.size)) / max(image.size))
    return np.asarray(image.resize([round(side * scale) for side in image.size], Image.Resampling.LANCZOS))


def criterion(painting: Path, weights: dict[str, Tensor], shorter: int = PAINTING_SIDE) -> PerceptualLoss:
    """Return the objective for a painting that is scaled to a shorter side."""
    features = VggFeatures({"relu3_3", *STYLE_LAYERS}, weights)
    return PerceptualLoss(
        features,
        tensor(load(painting, shorter=shorter)),
        content_layers=["relu3_3"],
        style_layers=STYLE_LAYERS,
        content_weight=1,
        style_weight=STYLE_WEIGHT,
        tv_weight=0,
    )


@torch.no_grad()
def mark(loss: PerceptualLoss, image: Tensor, photo: Tensor) -> Mark:
    """Return the losses and grid score of a stylized photo."""
    losses = loss(image, loss.content_of(photo))
    return Mark(losses.content.item(), losses.style.item(), losses.total.item(), grid_score(image[0].numpy()))


def grid_score(image: NDArray[np.float32]) -> float:
    """Return how far the spectrum of `(3, H, W)` along rows or columns rises at periods of 2 and 4 px."""
    luma = np.tensordot(np.array([0.299, 0.587, 0.114], np.float32), image, 1)
    return max(_peak(lines) for lines in (luma, luma.T))


def _peak(lines: NDArray[np.float32]) -> float:
    length = lines.shape[1] // 8 * 8
    lines = lines[:, :length] - lines[:, :length].mean(1, keepdims=True)
    power = np.square(np.abs(np.fft.rfft(lines * np.hanning(length), axis=1))).mean(0)

    def ratio(at: int) -> float:
        around = [*power[max(1, at - 24) : at - 4], *power[at + 5 : at + 24]]
        return float(np.sqrt(power[at - 1 : at + 2].max() / (np.median(around) + 1e-12)))

    return max(1.0, ratio(length // 4), ratio(length // 2))


def optimized(loss: PerceptualLoss, photo: Tensor, steps: list[int]) -> Iterator[tuple[int, Tensor]]:
    """Optimize the photo itself by L-BFGS; yield the image after each of these numbers of steps."""
    image = photo.clone(memory_format=torch.contiguous_format).requires_grad_()
    content = loss.content_of(photo)
    optimizer = torch.optim.LBFGS(
        [image],
        max_iter=1,
        max_eval=26,  # the default does not let a step of one iteration search, and the image stays as it was
        history_size=100,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        total: Tensor = loss(image, content).total
        total.backward()  # type: ignore[no-untyped-call]
        return total

    for step in range(1, max(steps) + 1):
        optimizer.step(closure)  # type: ignore[no-untyped-call]
        if step in steps:
            yield step, image.detach().clamp(0, 1)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", nargs="+", type=Path)
    parser.add_argument("--paintings", type=Path, required=True, help="folder with an image named after each style")
    parser.add_argument("--styles", nargs="*", help="names of bundled styles; all that have a painting by default")
    parser.add_argument("--loss-weights", type=Path)
    parser.add_argument("--size", type=int, default=512, help="longer side to which photos are reduced")
    parser.add_argument("--steps", type=int, nargs="*", default=[15, 30, 50], help="of L-BFGS; none turns it off")
    options = parser.parse_args()
    arrays = read_loss_weights(find_loss_weights(options.loss_weights))
    weights = {name: torch.from_numpy(array) for name, array in arrays.items()}
    paintings = {path.stem: path for path in sorted(options.paintings.iterdir()) if path.is_file()}
    print(f"{'photo':16} {'style':18} {'by':10} {'content':>8} {'style':>8} {'objective':>10} {'grid':>6}")
    bundled = {path.stem: path for path in sorted(bundled_styles_dir().glob("*.safetensors"))}
    names = options.styles or [name for name in bundled if name in paintings]
    if unknown := [name for name in names if name not in bundled or name not in paintings]:
        parser.error(f"{unknown[0]} is not a bundled style, or has no painting")
    for name in names:
        loss = criterion(paintings[name], weights)
        style = load_style(str(bundled[name]), device="cpu")
        for path in options.photos:
            pixels = load(path, longer=options.size)
            photo = tensor(pixels)
            results = {"stylekit": tensor(style.stylize(pixels, stroke_size=1))}
            if options.steps:
                results |= {f"{step} steps": image for step, image in optimized(loss, photo, options.steps)}
            for by, image in results.items():
                m = mark(loss, image, photo)
                figures = f"{m.content:8.3f} {m.style:8.4f} {m.objective:10.3f} {m.grid:6.2f}"
                print(f"{path.stem:16} {name:18} {by:10} {figures}", flush=True)


if __name__ == "__main__":
    main()

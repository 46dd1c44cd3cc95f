"""How good styles are: their losses on photos, beside the optimisation of each picture (Gatys et al. 2015).

    python benchmarks/quality.py PHOTO... --paintings FOLDER [--styles NAME...] [--loss-weights FILE]

For each photo and style it prints the relative content loss (relu3_3), the relative style loss (relu1_1 to relu4_1, the
painting at 512 px), the objective content + 20 × style, and the grid score: how far the picture's spectrum stands out
at periods of 2 and 4 px above its neighbourhood (1 is not at all, 3 is visible). Below each, the same for 15, 30 and
50 steps of L-BFGS from the photo on that objective, at one scale.
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
from stylekit.images.reading import load_photo
from stylekit.losses.perceptual import PerceptualLoss
from stylekit.losses.vgg import VggFeatures
from stylekit.losses.weights import find_loss_weights, read_loss_weights
from stylekit.styles.locations import bundled_styles_dir

STYLE_LAYERS = {f"relu{block}_1": 1.0 for block in range(1, 5)}
STYLE_WEIGHT = 20.0
PAINTING_SIDE = 512


class Mark(NamedTuple):
    """A picture's losses and grid score."""

    content: float
    style: float
    objective: float
    grid: float


def tensor(pixels: NDArray[np.uint8]) -> Tensor:
    """`(H, W, 3)` as `(1, 3, H, W)` in [0, 1]."""
    return torch.from_numpy(np.divide(pixels, 255, dtype=np.float32)).permute(2, 0, 1)[None]


def load(path: Path, *, shorter: int | None = None, longer: int | None = None) -> NDArray[np.uint8]:
    """A picture, scaled to a shorter side, or reduced to a longer one."""
    image = Image.fromarray(load_photo(path, max_pixels=2**31).pixels)
    scale = shorter / min(image.size) if shorter else min(1, (longer or max(image.size)) / max(image.size))
    return np.asarray(image.resize([round(side * scale) for side in image.size], Image.Resampling.LANCZOS))


def criterion(painting: Path, weights: dict[str, Tensor], shorter: int = PAINTING_SIDE) -> PerceptualLoss:
    """The objective for a painting, scaled to a shorter side."""
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
def mark(loss: PerceptualLoss, picture: Tensor, photo: Tensor) -> Mark:
    """Judge a picture."""
    losses = loss(picture, loss.content_of(photo))
    return Mark(losses.content.item(), losses.style.item(), losses.total.item(), grid_score(picture[0].numpy()))


def grid_score(picture: NDArray[np.float32]) -> float:
    """How far the spectrum of `(3, H, W)` along rows or columns stands out at periods of 2 and 4 px."""
    luma = np.tensordot(np.array([0.299, 0.587, 0.114], np.float32), picture, 1)
    return max(_peak(lines) for lines in (luma, luma.T))


def _peak(lines: NDArray[np.float32]) -> float:
    length = lines.shape[1] // 8 * 8
    lines = lines[:, :length] - lines[:, :length].mean(1, keepdims=True)
    power = np.square(np.abs(np.fft.rfft(lines * np.hanning(length), axis=1))).mean(0)

    def ratio(at: int) -> float:
        around = [*power[max(1, at - 24) : at - 4], *power[at + 5 : at + 24]]
        return float(np.sqrt(power[at - 1 : at + 2].max() / (np.median(around) + 1e-12)))

    return max(1.0, ratio(length // 4), ratio(length // 2))


def optimised(loss: PerceptualLoss, photo: Tensor, steps: list[int]) -> Iterator[tuple[int, Tensor]]:
    """Optimise the photo itself by L-BFGS, and give the picture after each of these numbers of steps."""
    picture = photo.clone(memory_format=torch.contiguous_format).requires_grad_()
    content = loss.content_of(photo)
    optimiser = torch.optim.LBFGS(
        [picture],
        max_iter=1,
        max_eval=26,  # by default a step of one iteration may not search, and the picture stays where it was
        history_size=100,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        optimiser.zero_grad()
        total: Tensor = loss(picture, content).total
        total.backward()  # type: ignore[no-untyped-call]
        return total

    for step in range(1, max(steps) + 1):
        optimiser.step(closure)  # type: ignore[no-untyped-call]
        if step in steps:
            yield step, picture.detach().clamp(0, 1)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", nargs="+", type=Path)
    parser.add_argument("--paintings", type=Path, required=True, help="folder with a picture named after each style")
    parser.add_argument("--styles", nargs="*", help="names of bundled styles; all that have a painting by default")
    parser.add_argument("--loss-weights", type=Path)
    parser.add_argument("--size", type=int, default=512, help="longer side to which photos are reduced")
    parser.add_argument("--steps", type=int, nargs="*", default=[15, 30, 50], help="of L-BFGS; none leaves it out")
    options = parser.parse_args()
    arrays = read_loss_weights(find_loss_weights(options.loss_weights))
    weights = {name: torch.from_numpy(array) for name, array in arrays.items()}
    paintings = {path.stem: path for path in sorted(options.paintings.iterdir()) if path.is_file()}
    print(f"{'photo':16} {'style':18} {'by':10} {'content':>8} {'style':>8} {'objective':>10} {'grid':>6}")
    bundled = {path.stem: path for path in sorted(bundled_styles_dir().glob("*.safetensors"))}
    names = options.styles or [name for name in bundled if name in paintings]
    if unknown := [name for name in names if name not in bundled or name not in paintings]:
        parser.error(f"no bundled style, or no painting, is called {unknown[0]}")
    for name in names:
        loss = criterion(paintings[name], weights)
        style = load_style(str(bundled[name]), device="cpu")
        for path in options.photos:
            pixels = load(path, longer=options.size)
            photo = tensor(pixels)
            results = {"stylekit": tensor(style.stylize(pixels, stroke_size=1))}
            if options.steps:
                results |= {f"{step} steps": picture for step, picture in optimised(loss, photo, options.steps)}
            for by, picture in results.items():
                m = mark(loss, picture, photo)
                figures = f"{m.content:8.3f} {m.style:8.4f} {m.objective:10.3f} {m.grid:6.2f}"
                print(f"{path.stem:16} {name:18} {by:10} {figures}", flush=True)


if __name__ == "__main__":
    main()

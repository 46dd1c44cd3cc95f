"""What a training looks like: contact sheets and loss curves."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stylekit.system.files import atomic_write

_GAP = 8
_PAPER = (255, 255, 255)


def contact_sheet(
    photos: Sequence[NDArray[np.float32]], results: Sequence[NDArray[np.float32]], painting: Image.Image
) -> Image.Image:
    """Lay out photos in a row, what became of them below, and the painting at the right.

    Args:
        photos: arrays `(H, W, 3)` in [0, 1], all of one height.
        results: as many, of the same sizes.
        painting: of any size; scaled to the height of both rows.
    """
    height = photos[0].shape[0]
    painting = painting.resize(
        (max(1, round(painting.width * (2 * height + _GAP) / painting.height)), 2 * height + _GAP)
    )
    width = sum(photo.shape[1] + _GAP for photo in photos) + painting.width
    sheet = Image.new("RGB", (width, 2 * height + _GAP), _PAPER)
    left = 0
    for photo, result in zip(photos, results, strict=True):
        sheet.paste(_image(photo), (left, 0))
        sheet.paste(_image(result), (left, height + _GAP))
        left += photo.shape[1] + _GAP
    sheet.paste(painting, (left, 0))
    return sheet


def _image(picture: NDArray[np.float32]) -> Image.Image:
    return Image.fromarray((np.nan_to_num(picture) * 255).round().clip(0, 255).astype(np.uint8))


def save_loss_curves(metrics: Path, path: Path) -> None:
    """Draw a training's losses over its steps, smoothed, on a logarithmic scale.

    Args:
        metrics: the run's `metrics.csv`.
        path: the PNG to write.
    """
    from matplotlib.figure import Figure  # costs a second, and only the end of a training needs it

    with metrics.open(newline="") as file:
        rows = list(csv.DictReader(file))
    steps = np.array([int(row["step"]) for row in rows])
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot(xlabel="step", ylabel="loss", yscale="log")
    for name in ("total", "content", "style", "tv"):
        axes.plot(*_smoothed(steps, np.array([float(row[name]) for row in rows])), label=name)
    axes.legend()
    axes.grid(alpha=0.3)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=120)
    with atomic_write(path) as temporary:
        temporary.write_bytes(content.getvalue())  # which notices a full disk; Pillow, given a file, does not


def _smoothed(steps: NDArray[Any], values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Running means over a fiftieth of the curve."""
    window = max(1, len(values) // 50)
    return steps[window - 1 :], np.convolve(values, np.ones(window) / window, mode="valid")

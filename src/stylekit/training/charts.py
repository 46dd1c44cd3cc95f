"""Images that show the progress of training: contact sheets and loss curves."""

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from stylekit.images.pillow import save_image
from stylekit.images.pixels import Floats, to_bytes, to_floats
from stylekit.system.files import atomic_write

_SAMPLE_HEIGHT = 256  # pixels of a photo in a contact sheet
_GAP = 8  # pixels between the images of a contact sheet
_WHITE, _GRAY, _BLACK = (255, 255, 255), (222, 222, 222), (34, 34, 34)

# Colors that remain distinct for color-blind readers (Okabe and Ito 2008).
CURVE_COLORS = {"total": (0, 0, 0), "content": (0, 114, 178), "style": (213, 94, 0), "tv": (0, 158, 115)}
_CHART_SIZE = (960, 600)
_MARGINS = (84, 48, 28, 60)  # pixels left, above, right and below the plot
_FONT_SIZE = 15
_TICK = 5  # pixels
_SAMPLE = 26  # pixels of a curve's color in the legend
_CURVE_WIDTH = 2.4
_SUPERSAMPLING = 4  # Pillow draws lines without antialiasing
_MAX_STEP_TICKS = 8


def sample_photo(photo: Image.Image) -> Floats:
    """Return a photo `(H, W, 3)` in [0, 1], scaled to the height that photos have in contact sheets."""
    width = max(8, round(photo.width * _SAMPLE_HEIGHT / photo.height))
    return to_floats(np.asarray(photo.resize((width, _SAMPLE_HEIGHT))))


def contact_sheet(photos: Sequence[Floats], results: Sequence[Floats], painting: Image.Image) -> Image.Image:
    """Arrange photos in a row, their stylized versions below, and the painting on the right.

    Args:
        photos: Photos `(H, W, 3)` in [0, 1], all of the same height.
        results: The stylized photos, with the same sizes.
        painting: The painting, which is scaled to the height of both rows.
    """
    height = photos[0].shape[0]
    sheet_height = 2 * height + _GAP
    painting = painting.resize((max(1, round(painting.width * sheet_height / painting.height)), sheet_height))
    width = sum(photo.shape[1] + _GAP for photo in photos) + painting.width
    sheet = Image.new("RGB", (width, sheet_height), _WHITE)
    left = 0
    for photo, result in zip(photos, results, strict=True):
        sheet.paste(_image(photo), (left, 0))
        sheet.paste(_image(result), (left, height + _GAP))
        left += photo.shape[1] + _GAP
    sheet.paste(painting, (left, 0))
    return sheet


def _image(values: Floats) -> Image.Image:
    return Image.fromarray(to_bytes(np.nan_to_num(values)))


@dataclass(frozen=True)
class Axes:
    """The axes of a chart: steps from left to right, losses from bottom to top on a logarithmic scale.

    Attributes:
        first: The first step.
        last: The last step.
        lowest: The smallest loss, more than 0.
        highest: The largest loss, more than `lowest`.
    """

    first: int
    last: int
    lowest: float
    highest: float

    def x(self, step: float) -> float:
        """Return the horizontal position of a step in pixels; a single step is in the middle."""
        left, _, right, _ = _MARGINS
        share = (step - self.first) / (self.last - self.first) if self.last > self.first else 0.5
        return left + share * (_CHART_SIZE[0] - left - right)

    def y(self, loss: float) -> float:
        """Return the vertical position of a loss in pixels."""
        _, top, _, bottom = _MARGINS
        share = math.log(loss / self.lowest) / math.log(self.highest / self.lowest)
        return _CHART_SIZE[1] - bottom - share * (_CHART_SIZE[1] - top - bottom)


def save_loss_curves(metrics: Path, path: Path) -> None:
    """Write a chart of training losses as a PNG.

    Args:
        metrics: The `metrics.csv` of a training run.
        path: The file to write.
    """
    with metrics.open(newline="") as file:
        rows = list(csv.DictReader(file))
    steps = np.array([int(row["step"]) for row in rows])
    chart, _ = draw_loss_curves(steps, {name: np.array([float(row[name]) for row in rows]) for name in CURVE_COLORS})
    with atomic_write(path) as temporary:
        save_image(chart, temporary, "PNG")


def draw_loss_curves(steps: NDArray[Any], losses: Mapping[str, NDArray[Any]]) -> tuple[Image.Image, Axes]:
    """Draw losses over steps, smoothed, on a logarithmic scale, with axes and a legend.

    Args:
        steps: `(N,)`, ascending.
        losses: Arrays `(N,)` by a name in `CURVE_COLORS`; values that are not finite or not positive are left out.

    Returns:
        The chart and its axes.
    """
    curves = {name: list(_smoothed(steps, values)) for name, values in losses.items()}
    axes = _fitted_axes(curves)
    width, height = (side * _SUPERSAMPLING for side in _CHART_SIZE)
    lines = Image.new("RGB", (width, height), _WHITE)
    draw = ImageDraw.Draw(lines)
    loss_ticks, step_ticks = _loss_ticks(axes), _step_ticks(axes)
    for loss in loss_ticks:
        _line(draw, [(_MARGINS[0], axes.y(loss)), (_CHART_SIZE[0] - _MARGINS[2], axes.y(loss))], _GRAY, 1)
    for name, curve in curves.items():
        points = [(axes.x(step), axes.y(loss)) for step, loss in curve]
        if len(points) == 1:
            x, y = points[0]
            points = [(x - _TICK, y), (x + _TICK, y)]
        if points:
            _line(draw, points, CURVE_COLORS[name], _CURVE_WIDTH)
    chart = lines.resize(_CHART_SIZE, Image.Resampling.BOX)
    _label(chart, axes, loss_ticks, step_ticks)
    _add_legend(chart)
    return chart, axes


def _smoothed(steps: NDArray[Any], values: NDArray[Any]) -> Iterator[tuple[int, float]]:
    """Yield running means over a fiftieth of a curve, each with its last step, except means without a logarithm."""
    window = max(1, len(values) // 50)
    means = np.convolve(values, np.ones(window) / window, mode="valid") if len(values) else values
    for step, mean in zip(steps[window - 1 :], means, strict=True):
        if math.isfinite(mean) and mean > 0:
            yield int(step), float(mean)


def _fitted_axes(curves: Mapping[str, Sequence[tuple[int, float]]]) -> Axes:
    """Return axes that fit all curves, with some room above and below."""
    points = [point for curve in curves.values() for point in curve] or [(0, 1.0)]
    steps, losses = zip(*points, strict=True)
    return Axes(min(steps), max(steps), min(losses) / 1.3, max(losses) * 1.3)


def _loss_ticks(axes: Axes) -> list[float]:
    """Return round losses in the range of the axes: powers of ten, and multiples of them if those are too few."""
    exponents = range(math.floor(math.log10(axes.lowest)), math.ceil(math.log10(axes.highest)) + 1)
    for factors in ((1,), (1, 2, 5), range(1, 10)):
        ticks = [factor * 10.0**exponent for exponent in exponents for factor in factors]
        inside = [tick for tick in ticks if axes.lowest <= tick <= axes.highest]
        if len(inside) >= 3:
            break
    return inside


def _step_ticks(axes: Axes) -> list[int]:
    """Return a few equally spaced, round step numbers in the range of the axes."""
    distances = (factor * 10**exponent for exponent in range(12) for factor in (1, 2, 5))
    distance = next(d for d in distances if (axes.last - axes.first) / d <= _MAX_STEP_TICKS)
    return list(range(-(-axes.first // distance) * distance, axes.last + 1, distance))


def _line(
    draw: ImageDraw.ImageDraw, points: Sequence[tuple[float, float]], color: tuple[int, ...], width: float
) -> None:
    """Draw a line through points on a supersampled chart; `width` is in pixels of the final chart."""
    scaled = [(x * _SUPERSAMPLING, y * _SUPERSAMPLING) for x, y in points]
    draw.line(scaled, color, round(width * _SUPERSAMPLING), joint="curve")


def _label(chart: Image.Image, axes: Axes, loss_ticks: Sequence[float], step_ticks: Sequence[int]) -> None:
    """Draw the axes with their ticks and names."""
    draw, font = ImageDraw.Draw(chart), ImageFont.load_default(_FONT_SIZE)
    left, top, right, bottom = _MARGINS
    width, height = _CHART_SIZE
    draw.line([(left, top), (left, height - bottom), (width - right, height - bottom)], _BLACK)
    for loss in loss_ticks:
        y = axes.y(loss)
        draw.line([(left - _TICK, y), (left, y)], _BLACK)
        draw.text((left - 2 * _TICK, y), f"{loss:g}", _BLACK, font, anchor="rm")
    for step in step_ticks:
        x = axes.x(step)
        draw.line([(x, height - bottom), (x, height - bottom + _TICK)], _BLACK)
        draw.text((x, height - bottom + 2 * _TICK), f"{step:,}", _BLACK, font, anchor="mt")
    draw.text(((left + width - right) / 2, height - _TICK), "step", _BLACK, font, anchor="mb")
    name = Image.new("L", (height, left // 3))
    ImageDraw.Draw(name).text((height / 2, name.height / 2), "loss (log scale)", 255, font, anchor="mm")
    upright = name.rotate(90, expand=True)
    chart.paste(_BLACK, (0, 0), upright)


def _add_legend(chart: Image.Image) -> None:
    """Draw the curves' names with their colors in a row above the plot."""
    draw, font = ImageDraw.Draw(chart), ImageFont.load_default(_FONT_SIZE)
    x, y = float(_MARGINS[0]), _MARGINS[1] / 2
    for name, color in CURVE_COLORS.items():
        draw.line([(x, y), (x + _SAMPLE, y)], color, 3)
        x += _SAMPLE + _GAP
        draw.text((x, y), name, _BLACK, font, anchor="lm")
        x += font.getlength(name) + 3 * _GAP

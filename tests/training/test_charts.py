"""Contact sheets and loss curves, pixel by pixel."""

import csv

import numpy as np
import pytest
from PIL import Image

from stylekit.images.pixels import to_floats
from stylekit.training.charts import CURVE_COLORS, contact_sheet, draw_loss_curves, save_loss_curves

GAP = 8
WHITE = (255, 255, 255)


def flat(width, height, *color):
    return np.full((height, width, 3), color, np.float32)


def box(sheet, left, top, width, height):
    """Return the color of a box, or all of its colors."""
    colors = sheet.crop((left, top, left + width, top + height)).getcolors()
    return colors[0][1] if len(colors) == 1 else {color for _, color in colors}


@pytest.fixture
def sheet():
    photos = [flat(12, 10, 1, 0, 0), flat(7, 10, 0, 1, 0)]
    results = [flat(12, 10, 0.2, 0.2, 0.2), flat(7, 10, 0, 0, 1)]
    return contact_sheet(photos, results, Image.new("RGB", (40, 20), (10, 20, 30)))


def test_a_sheet_holds_both_rows_and_the_painting_at_the_height_of_both(sheet):
    assert sheet.mode == "RGB"
    assert sheet.size == (12 + GAP + 7 + GAP + 56, 10 + GAP + 10)  # 40 x 20 at the height 28 is 56 wide


@pytest.mark.parametrize(
    ("left", "top", "width", "height", "color"),
    [
        (0, 0, 12, 10, (255, 0, 0)),
        (20, 0, 7, 10, (0, 255, 0)),
        (0, 18, 12, 10, (51, 51, 51)),
        (20, 18, 7, 10, (0, 0, 255)),
        (35, 0, 56, 28, (10, 20, 30)),
        (12, 0, 8, 28, WHITE),
        (27, 0, 8, 28, WHITE),
        (0, 10, 35, 8, WHITE),
    ],
    ids=["photo 1", "photo 2", "result 1", "result 2", "painting", "gap 1", "gap 2", "gap between rows"],
)
def test_each_image_is_in_its_place(sheet, left, top, width, height, color):
    assert box(sheet, left, top, width, height) == color


def test_images_are_neither_turned_nor_mirrored():
    photo = to_floats(np.arange(4 * 3 * 3, dtype=np.uint8).reshape(3, 4, 3))
    result = photo[::-1] + np.float32(0.5)
    sheet = np.asarray(contact_sheet([photo], [result], Image.new("RGB", (1, 1))))
    assert (sheet[:3, :4] == np.rint(photo * 255)).all()
    assert np.abs(sheet[3 + GAP :, :4] - result * 255).max() <= 0.5


@pytest.mark.parametrize(("value", "gray"), [(-0.5, 0), (0, 0), (0.1, 26), (1, 255), (1.5, 255)])
def test_values_are_rounded_and_those_out_of_range_are_clipped(value, gray):
    sheet = contact_sheet([flat(2, 2, 0, 0, 0)], [flat(2, 2, value, value, value)], Image.new("RGB", (2, 2)))
    assert box(sheet, 0, 2 + GAP, 2, 2) == (gray, gray, gray)


def test_a_very_narrow_painting_is_still_visible():
    sheet = contact_sheet([flat(4, 4, 0, 0, 0)], [flat(4, 4, 0, 0, 0)], Image.new("RGB", (1, 500), (9, 9, 9)))
    assert sheet.width == 4 + GAP + 1
    assert sheet.getpixel((12, 8)) == (9, 9, 9)


SIZE = (960, 600)


def write_metrics(path, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("step", "total", "content", "style", "tv", "seconds"), *rows])
    return path


def draw(rows):
    """Draw curves from rows of step, total, content, style and tv."""
    columns = np.array(rows, float).T
    return draw_loss_curves(columns[0].astype(int), dict(zip(CURVE_COLORS, columns[1:], strict=True)))


def curve_at(chart, axes, name, step):
    """Return the loss that the pixels of a curve's color stand for in the column of a step, or None."""
    column = np.asarray(chart)[:, round(axes.x(step))].astype(int)
    rows = np.flatnonzero(np.abs(column - CURVE_COLORS[name]).max(axis=1) < 25)
    rows = rows[(rows > axes.y(axes.highest)) & (rows < axes.y(axes.lowest))]
    if not len(rows):
        return None
    share = (axes.y(axes.lowest) - rows.mean() - 0.5) / (axes.y(axes.lowest) - axes.y(axes.highest))
    return axes.lowest * (axes.highest / axes.lowest) ** share


def test_every_loss_has_its_curve_on_a_logarithmic_scale():
    rows = [(1, 10, 1, 0.5, 0.1), (2, 8, 2, 0.25, 0.2), (3, 6, 3, 0.125, 0.3)]
    chart, axes = draw(rows)
    assert axes.y(0.1) - axes.y(1) == pytest.approx(axes.y(1) - axes.y(10))
    assert axes.x(2) - axes.x(1) == pytest.approx(axes.x(3) - axes.x(2))
    for number, name in enumerate(CURVE_COLORS, start=1):
        assert curve_at(chart, axes, name, 2) == pytest.approx(rows[1][number], rel=0.03)
        halfway = (rows[0][number] * rows[1][number]) ** 0.5
        assert curve_at(chart, axes, name, 1.5) == pytest.approx(halfway, rel=0.03)


def test_a_long_training_is_smoothed_over_a_fiftieth_of_it():
    rows = [(step, step % 2 * 2, 10, 10, 10) for step in range(1, 101)]  # 2, 0, 2, 0 … is 1 over two steps
    chart, axes = draw(rows)
    assert (axes.first, axes.last) == (2, 100)
    for step in range(5, 96):
        assert curve_at(chart, axes, "total", step) == pytest.approx(1, rel=0.03)


def test_a_short_training_is_not_smoothed():
    chart, axes = draw([(step, 1 + step % 2, 9, 9, 9) for step in range(1, 8)])
    assert curve_at(chart, axes, "total", 3) == pytest.approx(2, rel=0.05)
    assert curve_at(chart, axes, "total", 4) == pytest.approx(1, rel=0.05)


def test_axes_are_labeled_and_the_legend_shows_every_color():
    chart, axes = draw([(step, 9 / step, 2 / step, 0.3 / step, 0.1) for step in range(1, 2001)])
    ink = np.asarray(chart.convert("L")) < 128
    left, top, bottom = round(axes.x(axes.first)), round(axes.y(axes.highest)), round(axes.y(axes.lowest))
    assert ink[top:bottom, left].all()  # the vertical axis
    assert ink[bottom, left : round(axes.x(axes.last))].all()  # the horizontal one
    for loss in (0.01, 0.1, 1):
        row = round(axes.y(loss))
        assert ink[row - 8 : row + 8, left - 50 : left - 10].any()  # its number
    for step in (500, 1000, 1500, 2000):
        column = round(axes.x(step))
        assert ink[bottom + 8 : bottom + 25, column - 20 : column + 20].any()
    assert ink[bottom + 30 :, 400:600].any()  # "step"
    assert ink[200:400, : left - 50].any()  # "loss"
    legend = {color for _, color in chart.crop((0, 0, SIZE[0], top - 4)).getcolors(1 << 20)}
    assert set(CURVE_COLORS.values()) <= legend


@pytest.mark.parametrize("number", [0, 1, 2, 120])
def test_loss_curves_of_any_length_are_written_as_a_png(tmp_path, number):
    rows = [(step, 9 / step, 2 / step, 0.3 / step, 0.1, step) for step in range(1, number + 1)]
    path = tmp_path / "loss.png"
    save_loss_curves(write_metrics(tmp_path / "metrics.csv", rows), path)
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert image.size == SIZE
        plot = image.crop((90, 60, 930, 530)).getcolors(1 << 20) or []
    assert set(CURVE_COLORS.values()) <= {color for _, color in plot} or number == 0
    assert sorted(file.name for file in tmp_path.iterdir()) == ["loss.png", "metrics.csv"]


@pytest.mark.parametrize("bad", [0.0, -1.0, float("nan"), float("inf")])
def test_losses_without_a_logarithm_are_left_out(bad):
    chart, axes = draw([(step, 1, 1, bad, bad if step == 5 else 2) for step in range(1, 10)])
    assert curve_at(chart, axes, "style", 4) is None
    assert curve_at(chart, axes, "tv", 4) == pytest.approx(2, rel=0.03)
    assert (axes.lowest, axes.highest) == (pytest.approx(1 / 1.3), pytest.approx(2 * 1.3))

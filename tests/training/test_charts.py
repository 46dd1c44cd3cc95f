"""Contact sheets, pixel by pixel, and loss curves, line by line."""

import csv

import numpy as np
import pytest
from matplotlib.axes import Axes
from PIL import Image

from stylekit.training.charts import contact_sheet, save_loss_curves

GAP = 8
WHITE = (255, 255, 255)


def flat(width, height, *color):
    return np.full((height, width, 3), color, np.float32)


def box(sheet, left, top, width, height):
    """The one colour of a box, or all of its colours."""
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
def test_each_picture_lies_in_its_place(sheet, left, top, width, height, color):
    assert box(sheet, left, top, width, height) == color


def test_pictures_are_neither_turned_nor_mirrored():
    photo = np.arange(4 * 3 * 3, dtype=np.float32).reshape(3, 4, 3) / 255
    result = photo[::-1] + np.float32(0.5)
    sheet = np.asarray(contact_sheet([photo], [result], Image.new("RGB", (1, 1))))
    assert (sheet[:3, :4] == np.rint(photo * 255)).all()
    assert np.abs(sheet[3 + GAP :, :4] - result * 255).max() <= 0.5


@pytest.mark.parametrize(("value", "grey"), [(-0.5, 0), (0, 0), (0.1, 26), (1, 255), (1.5, 255)])
def test_values_are_rounded_and_those_out_of_range_are_clipped(value, grey):
    sheet = contact_sheet([flat(2, 2, 0, 0, 0)], [flat(2, 2, value, value, value)], Image.new("RGB", (2, 2)))
    assert box(sheet, 0, 2 + GAP, 2, 2) == (grey, grey, grey)


def test_a_very_narrow_painting_is_still_seen():
    sheet = contact_sheet([flat(4, 4, 0, 0, 0)], [flat(4, 4, 0, 0, 0)], Image.new("RGB", (1, 500), (9, 9, 9)))
    assert sheet.width == 4 + GAP + 1
    assert sheet.getpixel((12, 8)) == (9, 9, 9)


def write_metrics(path, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("step", "total", "content", "style", "tv", "seconds"), *rows])
    return path


@pytest.fixture
def plotted(monkeypatch):
    """What is drawn: label -> (steps, values)."""
    lines = {}
    plot = Axes.plot

    def spy(self, steps, values, *, label):
        lines[label] = steps.tolist(), values.tolist()
        return plot(self, steps, values, label=label)

    monkeypatch.setattr(Axes, "plot", spy)
    return lines


@pytest.mark.parametrize("number", [1, 2, 120])
def test_loss_curves_are_a_png_with_something_on_it(tmp_path, number):
    rows = [(step, 9 / step, 2 / step, 0.3 / step, 0.1, step) for step in range(1, number + 1)]
    path = tmp_path / "loss.png"
    save_loss_curves(write_metrics(tmp_path / "metrics.csv", rows), path)
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert image.size == (960, 600)
        assert len(image.convert("RGB").getcolors(1 << 20)) > 4
    assert sorted(file.name for file in tmp_path.iterdir()) == ["loss.png", "metrics.csv"]


def test_every_loss_has_its_curve_and_a_short_training_is_not_smoothed(tmp_path, plotted):
    rows = [(1, 10, 1, 0.5, 0.1, 7), (2, 8, 2, 0.25, 0.2, 8), (3, 6, 3, 0.125, 0.3, 9)]
    save_loss_curves(write_metrics(tmp_path / "metrics.csv", rows), tmp_path / "loss.png")
    assert plotted == {
        "total": ([1, 2, 3], [10, 8, 6]),
        "content": ([1, 2, 3], [1, 2, 3]),
        "style": ([1, 2, 3], [0.5, 0.25, 0.125]),
        "tv": ([1, 2, 3], [0.1, 0.2, 0.3]),
    }


def test_a_long_training_is_smoothed_over_a_fiftieth_of_it(tmp_path, plotted):
    rows = [(step, step % 2 * 2, 1, 1, 1, 0) for step in range(1, 101)]  # 2, 0, 2, 0 … means 1 over two steps
    save_loss_curves(write_metrics(tmp_path / "metrics.csv", rows), tmp_path / "loss.png")
    steps, values = plotted["total"]
    assert steps == [*range(2, 101)]
    assert values == [1] * 99


def test_a_loss_of_zero_does_not_keep_the_curves_from_being_drawn(tmp_path):
    metrics = write_metrics(tmp_path / "metrics.csv", [(1, 1, 1, 0, 0, 0), (2, 1, 1, 0, 0, 0)])
    save_loss_curves(metrics, tmp_path / "loss.png")
    with Image.open(tmp_path / "loss.png") as image:
        assert image.size == (960, 600)

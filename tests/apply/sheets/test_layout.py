"""The places on a contact sheet."""

from itertools import chain

import pytest

from stylekit.apply.sheets.layout import Metrics, gallery, grid


def boxes_of(layout):
    return [*layout.photos, *chain(*layout.tiles, *layout.captions), *layout.headings]


def overlap(first, second):
    return (
        first.x < second.x + second.width
        and second.x < first.x + first.width
        and first.y < second.y + second.height
        and second.y < first.y + first.height
    )


@pytest.mark.parametrize("photo", [(3000, 2000), (2000, 3000), (8000, 500), (500, 8000), (1, 1), (480, 480)])
@pytest.mark.parametrize("styles", [1, 2, 3, 5, 12, 40])
@pytest.mark.parametrize("columns", [None, 1, 3, 10**9])
def test_nothing_in_a_gallery_overlaps_or_leaves_the_sheet(photo, styles, columns):
    factor = min(1, 480 / max(photo))
    tile = max(1, round(photo[0] * factor)), max(1, round(photo[1] * factor))
    layout = gallery(photo, tile, styles, columns, Metrics.of(480))
    boxes = boxes_of(layout)
    assert len(layout.tiles) == len(layout.captions) == styles
    assert layout.columns == min(columns or layout.columns, styles + 1)  # no more than are needed
    for number, box in enumerate(boxes):
        assert box.x >= 0 and box.x + box.width <= layout.width, box
        assert box.y >= 0 and box.y + box.height <= layout.height, box
        assert not any(overlap(box, other) for other in boxes[number + 1 :])


def test_twelve_styles_surround_a_large_photo():
    layout = gallery((3000, 2000), (480, 320), 12, None, Metrics.of(480))
    assert (layout.columns, layout.rows, layout.photo_is_large) == (4, 4, True)
    assert layout.photos[0].width == 2 * 480 + 30
    assert not gallery((500, 333), (480, 320), 12, None, Metrics.of(480)).photo_is_large  # it would be blurred
    assert not gallery((8000, 500), (480, 30), 12, None, Metrics.of(480)).photo_is_large  # it would leave a hole


@pytest.mark.parametrize("tile", [(480, 320), (40, 480), (480, 8), (1, 1)])
def test_nothing_in_a_grid_overlaps_or_leaves_the_sheet(tile):
    layout = grid(tile, 2, 3, 4, Metrics.of(480))
    boxes = boxes_of(layout)
    assert (len(layout.photos), len(layout.headings), layout.rows) == (6, 5, 6)
    assert [len(boxes) for boxes in (*layout.tiles, *layout.captions)] == [12, 12, 3, 3]
    for number, box in enumerate(boxes):
        assert box.x + box.width <= layout.width and box.y + box.height <= layout.height
        assert not any(overlap(box, other) for other in boxes[number + 1 :])

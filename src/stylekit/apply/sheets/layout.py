"""The layout of a contact sheet: the positions of photos, tiles and text.

A gallery shows the photo and each style once, in rows, with a caption below each; the photo may be as large as two by
two tiles. A grid shows styles with several settings: each row has a style and stroke size, each column has a strength,
and each row begins with the photo.
"""

from dataclasses import dataclass
from math import ceil, log

_ASPECT = 1.3  # preferred ratio of a gallery's width to its height
_EMPTY = 3.5  # penalty for empty cells, times their share of all cells
_SMALL_PHOTO = 0.12  # penalty for a photo that is no larger than the other tiles
_LARGE_PHOTO_FROM = 6  # fewest styles for which the photo may be large
_FILLED = 0.7  # smallest share of the available height that a large photo fills
_ENLARGEMENT = 1.5  # largest factor by which a large photo is enlarged
_USUAL_SIZE, _LEAST_SIZE = 480, 240  # tile sizes in pixels at which text has its usual and its smallest size


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class Metrics:
    """Distances and text sizes, which scale with the tiles.

    Attributes:
        unit: The scale factor, relative to the usual tile size.
    """

    unit: float

    @classmethod
    def of(cls, size: int) -> "Metrics":
        """Return the metrics for tiles whose longer side has `size` pixels."""
        return cls(max(size, _LEAST_SIZE) / _USUAL_SIZE)

    def px(self, length: float) -> int:
        """Scale a length that is given in pixels at the usual tile size."""
        return round(length * self.unit)


@dataclass(frozen=True)
class Layout:
    """The positions of photos, tiles and text.

    Attributes:
        width: Width of the sheet in pixels.
        height: Height of the sheet in pixels.
        columns: The number of tiles in a full row.
        rows: The number of rows.
        photos: Boxes of the photo: one in a gallery, and one at the beginning of each row of a grid.
        tiles: Boxes of each style's tiles: one in a gallery, and row by row in a grid.
        captions: Boxes of the text about each style: below its tile in a gallery, and beside each of its rows in a
            grid.
        headings: Boxes of the text about the photo in a gallery, or of the text above each column of a grid, starting
            with the column of the photo.
    """

    width: int
    height: int
    columns: int
    rows: int
    photos: tuple[Box, ...]
    tiles: tuple[tuple[Box, ...], ...]
    captions: tuple[tuple[Box, ...], ...]
    headings: tuple[Box, ...]

    @property
    def photo_is_large(self) -> bool:
        """Whether the photo is larger than the other tiles."""
        return self.photos[0].width > self.tiles[0][0].width


def gallery(
    photo: tuple[int, int], tile: tuple[int, int], styles: int, columns: int | None, metrics: Metrics
) -> Layout:
    """Lay out a photo and one tile for each style.

    Args:
        photo: Width and height of the photo at its full size.
        tile: Width and height of the photo in a tile.
        styles: The number of styles.
        columns: The largest number of columns; None chooses the number of columns.
        metrics: The distances and text sizes.
    """
    px = metrics.px
    margin, gap, caption = px(40), px(30), px(88)
    cell = max(tile[0], px(260)), tile[1] + px(16) + caption
    widest = 2 * cell[0] + gap, 2 * cell[1] + gap - caption
    enlargement = min(widest[0] / tile[0], widest[1] / tile[1])
    fills = enlargement * tile[1] > _FILLED * widest[1]  # false for a panorama
    may_be_large = styles >= _LARGE_PHOTO_FROM and fills and max(photo) * _ENLARGEMENT >= max(tile) * enlargement
    columns, is_large = _shape(cell, styles, columns and min(columns, styles + 1), may_be_large=may_be_large)
    taken = [(0, 0), (1, 0), (0, 1), (1, 1)] if is_large else [(0, 0)]
    rows = max(2 if is_large else 1, ceil((styles + len(taken)) / columns))
    places = [(column, row) for row in range(rows) for column in range(columns) if (column, row) not in taken]
    tiles = [
        Box(margin + column * (cell[0] + gap), margin + row * (cell[1] + gap), *tile) for column, row in places[:styles]
    ]
    width, height = (round(side * enlargement) for side in tile) if is_large else tile
    room = 2 * cell[0] + gap if is_large else cell[0]
    return Layout(
        width=2 * margin + columns * cell[0] + (columns - 1) * gap,
        height=2 * margin + rows * cell[1] + (rows - 1) * gap,
        columns=columns,
        rows=rows,
        photos=(Box(margin, margin, width, height),),
        tiles=tuple((box,) for box in tiles),
        captions=tuple((Box(box.x, box.y + box.height + px(16), cell[0], caption),) for box in tiles),
        headings=(Box(margin, margin + height + px(22 if is_large else 16), room, caption),),
    )


def _shape(cell: tuple[int, int], styles: int, columns: int | None, *, may_be_large: bool) -> tuple[int, bool]:
    """Return the best number of columns, and whether the photo takes two by two cells."""

    def badness(shape: tuple[int, bool]) -> float:
        columns, is_large = shape
        cells = styles + (4 if is_large else 1)
        rows = ceil(cells / columns)
        aspect = columns * cell[0] / (rows * cell[1])
        empty = 1 - cells / (rows * columns)
        return abs(log(aspect / _ASPECT)) + _EMPTY * empty + (0 if is_large else _SMALL_PHOTO)

    shapes = [(number, False) for number in ([columns] if columns else range(1, styles + 2))]
    if may_be_large:
        shapes += [(number, True) for number, _ in shapes if number >= 2]
    return min(shapes, key=badness)


def grid(tile: tuple[int, int], styles: int, rows: int, columns: int, metrics: Metrics) -> Layout:
    """Lay out rows of tiles, each with the photo at the beginning.

    Args:
        tile: Width and height of the photo in a tile.
        styles: The number of styles.
        rows: The number of rows of each style.
        columns: The number of columns, without the photo.
        metrics: The distances and text sizes.
    """
    px = metrics.px
    margin, gap, labels, heading = px(40), px(30), px(250), px(40)
    step = max(tile[0], px(180)) + gap, max(tile[1], px(250)) + gap
    left, top = margin + labels + gap, margin + heading
    places = [
        [Box(left + column * step[0], top + row * step[1], *tile) for column in range(columns + 1)]
        for row in range(styles * rows)
    ]
    rows_by_style = [places[first : first + rows] for first in range(0, len(places), rows)]
    return Layout(
        width=left + (columns + 1) * step[0] - gap + margin,
        height=top + len(places) * step[1] - gap + margin,
        columns=columns,
        rows=len(places),
        photos=tuple(photo for photo, *_ in places),
        tiles=tuple(tuple(box for _, *boxes in own for box in boxes) for own in rows_by_style),
        captions=tuple(
            tuple(Box(margin, photo.y, labels, step[1] - gap) for photo, *_ in own) for own in rows_by_style
        ),
        headings=tuple(Box(box.x, margin, step[0] - gap, heading) for box in places[0]),
    )

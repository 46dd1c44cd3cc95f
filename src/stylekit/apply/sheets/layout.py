"""Where everything is on a contact sheet.

A gallery shows the photo and each style once, in rows, with a caption below each; the photo may be as large as two by
two tiles. A grid shows styles over their options: a row for each style and stroke size, a column for each strength, and
the photo at the beginning of each row.
"""

from dataclasses import dataclass
from math import ceil, log

_ASPECT = 1.3  # of a gallery, width to height
_EMPTY = 3.5  # how much worse a gallery is, at most, for empty places
_SMALL_PHOTO = 0.12  # how much worse it is for a photo that is no larger than the other tiles
_LARGE_PHOTO_FROM = 6  # styles
_FILLED = 0.7  # the least share of its height that a large photo fills
_ENLARGEMENT = 1.5  # at most, of a large photo
_USUAL_SIZE, _LEAST_SIZE = 480, 240  # pixels of a tile at which text has its usual size, and its smallest


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class Metrics:
    """Distances and text sizes, which grow with the tiles.

    Attributes:
        unit: The factor by which they are larger than at the usual size.
    """

    unit: float

    @classmethod
    def of(cls, size: int) -> "Metrics":
        """Return the metrics for tiles whose longer side has `size` pixels."""
        return cls(max(size, _LEAST_SIZE) / _USUAL_SIZE)

    def px(self, length: float) -> int:
        """Return a length in pixels, given at the usual size."""
        return round(length * self.unit)


@dataclass(frozen=True)
class Layout:
    """The places on a sheet.

    Attributes:
        width: The sheet's width in pixels.
        height: The sheet's height in pixels.
        columns: The number of tiles in a full row.
        rows: The number of rows.
        photos: The photo: once in a gallery, and at the beginning of each row of a grid.
        tiles: The tiles of each style: one in a gallery, and row by row in a grid.
        captions: The texts about each style: below its tile in a gallery, and beside each of its rows in a grid.
        headings: The text about the photo of a gallery, or above each column of a grid, that of the photo first.
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
        columns: The number of columns, or more than are needed; None chooses it.
        metrics: The distances.
    """
    px = metrics.px
    margin, gap, caption = px(40), px(30), px(88)
    cell = max(tile[0], px(260)), tile[1] + px(16) + caption
    widest = 2 * cell[0] + gap, 2 * cell[1] + gap - caption
    enlargement = min(widest[0] / tile[0], widest[1] / tile[1])
    fills = enlargement * tile[1] > _FILLED * widest[1]  # a panorama does not
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
    """Return the best number of columns, and whether the photo takes two by two places."""

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
    """Lay out rows of tiles, each with the photo at its beginning.

    Args:
        tile: Width and height of the photo in a tile.
        styles: The number of styles.
        rows: The number of rows of each style.
        columns: The number of columns, without the photo.
        metrics: The distances.
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

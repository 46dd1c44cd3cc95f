"""Draw a contact sheet: the photo, the tiles, and the captions."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from stylekit.apply.sheets.layout import Box, Layout, Metrics
from stylekit.apply.sheets.text import drawable_text, shortened, wrapped
from stylekit.apply.sheets.tiles import StyleTiles, Subject
from stylekit.config.sheet import SheetConfig
from stylekit.images.formats import READABLE_SUFFIXES
from stylekit.images.pillow import open_image
from stylekit.styles.names import style_label
from stylekit.styles.thumbnails import find_thumbnail

BACKGROUND = (247, 245, 241)
_EMPTY = (234, 231, 225)
_INK, _FAINT = (34, 32, 30), (112, 106, 99)
_WIDE = 400  # least width in pixels, at the usual tile size, for a painting beside the name of its style
_LEADING = 1.35  # distance between lines, relative to the size of the text


@dataclass(frozen=True)
class _Line:
    """A line of text, with its color, and its size in pixels at the usual tile size."""

    text: str
    size: int = 19
    color: tuple[int, int, int] = _FAINT


class SheetDrawing:
    """Draws a contact sheet, one style at a time.

    Args:
        photo: The name of the photo.
        subject: The photo.
        layout: The positions of photos, tiles and text.
        config: The settings.

    Attributes:
        image: The sheet, RGB.
    """

    def __init__(self, photo: str, subject: Subject, layout: Layout, config: SheetConfig) -> None:
        """Draw the photo and the text about it."""
        self.image = Image.new("RGB", (layout.width, layout.height), BACKGROUND)
        self._draw = ImageDraw.Draw(self.image)
        self._px = Metrics.of(config.size).px
        self._subject = subject
        self._config = config
        shown = subject.with_alpha(subject.pixels((layout.photos[0].width, layout.photos[0].height)))
        for box in layout.photos:
            self._paste(shown, box)
        if config.is_grid:
            for box, text in zip(layout.headings, [photo, *column_headings(config)], strict=True):
                self._caption(box, [_Line(text)])
        else:
            self._caption(layout.headings[0], _about_photo(photo, config, is_large=layout.photo_is_large))

    def add(self, tiles: StyleTiles, boxes: Sequence[Box], captions: Sequence[Box]) -> None:
        """Draw the tiles of a style, or the reason why it failed, with their captions.

        Args:
            tiles: The tiles of the style.
            boxes: The positions of the tiles.
            captions: The positions of the captions: one in a gallery, or one for each row of a grid.
        """
        if tiles.error is None:
            for image, box in zip(tiles.images, boxes, strict=True):
                self._paste(self._subject.with_alpha(image), box)
        else:
            for box in boxes:
                self._failure(box, tiles.error.message.removeprefix(f"{tiles.path}: "))
        lines = _about_style(tiles)
        thumbnail = find_thumbnail(tiles.path)
        if not self._config.is_grid:
            self._caption(captions[0], lines, thumbnail)
            return
        for row, box in enumerate(captions):
            if len(captions) > 1:
                lines += [*[_Line("")] * bool(lines), _Line(stroke_size_text(self._config.stroke_sizes[row]))]
            self._label(box, lines, thumbnail)
            lines, thumbnail = [], None  # only in the first row

    def _paste(self, image: Image.Image, box: Box) -> None:
        """Paste an image into a box of the same size. The sheet shows through where the image is transparent."""
        self.image.paste(image, (box.x, box.y), image if image.mode == "RGBA" else None)

    def _caption(self, box: Box, lines: Sequence[_Line], thumbnail: Path | None = None) -> None:
        """Write lines of text into a box, with a painting on the right: beside all lines, or below a long name."""
        width, top, px = box.width, box.y, self._px
        if thumbnail is None:
            self._write(box.x, top, width, lines)
            return
        is_narrow = width < px(_WIDE)
        small = self._thumbnail(thumbnail, *((72, 52) if is_narrow else (116, 88)))
        if is_narrow:
            self._write(box.x, top, width, lines[:1])
            top, lines = top + px(lines[0].size * _LEADING), lines[1:]
        self.image.paste(small, (box.x + box.width - small.width, top))
        self._write(box.x, top, width - small.width - px(16), lines)

    def _label(self, box: Box, lines: Sequence[_Line], thumbnail: Path | None) -> None:
        """Write lines of text into a box, with a painting above them."""
        top = box.y
        if thumbnail is not None:
            small = self._thumbnail(thumbnail, 128, 128)
            self.image.paste(small, (box.x, top))
            top += small.height + self._px(16)
        self._write(box.x, top, box.width, lines)

    def _failure(self, box: Box, reason: str) -> None:
        """Fill the box of a tile that failed with the reason."""
        self._draw.rectangle((box.x, box.y, box.x + box.width - 1, box.y + box.height - 1), _EMPTY)
        inset, size = self._px(20), self._px(_Line("").size)
        width = max(1, box.width - 2 * inset)
        room = max(1, (box.height - 2 * inset) // round(size * _LEADING))
        lines = wrapped(*drawable_text(reason, size), width)
        lines = [*lines[: room - 1], " ".join(lines[room - 1 :])]
        self._write(box.x + inset, box.y + inset, width, [_Line(line) for line in lines])

    def _write(self, x: int, y: int, width: int, lines: Sequence[_Line]) -> None:
        """Write lines of text, shortened to a width."""
        for line in lines:
            size = self._px(line.size)
            text, font = drawable_text(line.text, size)
            text = shortened(text, font, width)
            if isinstance(font, ImageFont.FreeTypeFont):
                self._draw.text((x, y + size), text, line.color, font, anchor="ls")  # the same baseline for all fonts
            else:
                self._draw.text((x, y), text, line.color, font)
            y += round(size * _LEADING)

    def _thumbnail(self, path: Path, width: int, height: int) -> Image.Image:
        """Return a painting, reduced to fit a width and height that are given at the usual tile size."""
        with path.open("rb") as file, open_image(file, path.name) as image:
            small = image.convert("RGB")
        small.thumbnail((self._px(width), self._px(height)), Image.Resampling.LANCZOS)
        return small


def column_headings(config: SheetConfig) -> list[str]:
    """Return the texts above the columns of a grid."""
    if len(config.strengths) > 1:
        return [f"strength {strength:g}" for strength in config.strengths]
    return [stroke_size_text(stroke_size) for stroke_size in config.stroke_sizes]


def stroke_size_text(stroke_size: float | None) -> str:
    """Return a stroke size in words."""
    return f"stroke size {'auto' if stroke_size is None else f'{stroke_size:g}'}"


def _about_style(tiles: StyleTiles) -> list[_Line]:
    """Return a style's name, its painter, and the year."""
    about_painting = (tiles.credits.artist, tiles.credits.year)
    return [_name(style_label(tiles.name)), *(_Line(text) for text in about_painting if text)]


def _about_photo(photo: str, config: SheetConfig, *, is_large: bool) -> list[_Line]:
    """Return a photo's name and, if it is an image file, the command that paints it at full size."""
    lines = [_Line(photo, 38, _INK) if is_large else _name(photo)]
    if Path(photo).suffix.lower() in READABLE_SUFFIXES:
        lines.append(_Line(f"{shlex.join(['stylekit', 'apply', photo, *_options(config)])} --style NAME"))
    return lines


def _name(text: str) -> _Line:
    return _Line(text, 26, _INK)


def _options(config: SheetConfig) -> list[str]:
    """Return the options of `apply` that all tiles share, without defaults."""
    options = []
    if config.strengths != SheetConfig.strengths:
        options += ["--strength", f"{config.strengths[0]:g}"]
    if config.stroke_sizes != SheetConfig.stroke_sizes:
        options += ["--stroke-size", f"{config.stroke_sizes[0]:g}"]
    return [*options, *["--keep-colors"] * config.keep_colors]

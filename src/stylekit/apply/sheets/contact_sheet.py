"""Contact sheets: one labeled image that shows a photo in many styles, or in a few styles with several settings."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import astuple, dataclass
from itertools import product
from pathlib import Path

import numpy as np
from PIL import Image

from stylekit._version import __version__
from stylekit.apply.sheets.drawing import SheetDrawing, column_headings, stroke_size_text
from stylekit.apply.sheets.layout import Box, Layout, Metrics, gallery, grid
from stylekit.apply.sheets.tiles import StyleTiles, Subject, open_subject, paint_styles
from stylekit.config.apply import ApplyConfig
from stylekit.config.checks import require
from stylekit.config.sheet import STYLE_GROUPS, SheetConfig
from stylekit.errors import StylekitError
from stylekit.images.formats import format_of_suffix
from stylekit.images.photo import Metadata, Photo
from stylekit.images.reading import ImageLike
from stylekit.images.writing import save_photo
from stylekit.styles.catalog import local_styles
from stylekit.styles.library import locate_style
from stylekit.styles.locations import find_style
from stylekit.styles.names import style_label
from stylekit.styles.style_file import Credits

_MOST_PIXELS = 400_000_000  # in a sheet


@dataclass(frozen=True)
class SheetTile:
    """A tile of a contact sheet: its style and settings, and the position of its image.

    Attributes:
        style: The style, as given.
        credits: The credits of the painting.
        stroke_size: The stroke size; None if it was fitted to the photo.
        strength: The strength.
        x: Distance in pixels from the left edge of the sheet to the image.
        y: Distance in pixels from the top edge of the sheet to the image.
        width: Width of the image in pixels.
        height: Height of the image in pixels.
        reason: Why the style failed; empty if it did not.
        hint: What the user can do about the failure; may be empty.
    """

    style: str
    credits: Credits
    stroke_size: float | None
    strength: float
    x: int
    y: int
    width: int
    height: int
    reason: str = ""
    hint: str = ""


@dataclass(frozen=True)
class ContactSheet:
    """One labeled image that shows a photo in many styles, or in a few styles with several settings.

    Attributes:
        image: The sheet, RGB.
        photo: The position and size of the photo in pixels: x, y, width and height.
        tiles: The tiles, in reading order.
        columns: The number of tiles in a full row.
        rows: The number of rows.
        recipe: The styles and settings of the sheet, as JSON; stored in the file.
        notes: Remarks for the user, for example that only the first frame was used.
        seconds: The time in seconds that the sheet took.
    """

    image: Image.Image
    photo: tuple[int, int, int, int]
    tiles: tuple[SheetTile, ...]
    columns: int
    rows: int
    recipe: str
    notes: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def failures(self) -> tuple[SheetTile, ...]:
        """The tiles whose style failed."""
        return tuple(tile for tile in self.tiles if tile.reason)

    def save(self, path: Path | str, *, quality: int = ApplyConfig.quality, overwrite: bool = False) -> None:
        """Write the sheet. If that fails, no partial file is left.

        The sheet has a recipe, so `stylekit apply` skips it in folders.

        Args:
            path: The file to write; its suffix sets the format.
            quality: Quality of JPEG, WebP, AVIF and HEIC files, 1 to 100.
            overwrite: Whether to replace an existing file.

        Raises:
            ConfigError: If images with that suffix cannot be written.
            ImageError: If the file cannot be written.
            OutputExists: If the file exists and `overwrite` is false.
        """
        path = Path(path)
        photo = Photo(np.asarray(self.image), metadata=Metadata(recipe=self.recipe))
        save_photo(photo, path, format=format_of_suffix(path.suffix), quality=quality, overwrite=overwrite)


def select_styles(words: Sequence[str]) -> list[str]:
    """Expand the names of styles and of groups of styles to a list of styles without duplicates.

    Args:
        words: Names and files of styles, and the groups `all`, `bundled` and `own` of the styles on this machine,
            unless a style has that name.

    Raises:
        ConfigError: If no style is selected.
    """
    names: list[str] = []
    for word in words:
        if word not in STYLE_GROUPS or find_style(word) is not None:
            names.append(word)
            continue
        group = sorted(entry.name for entry in local_styles() if word in ("all", entry.where))
        require(bool(group), "You have no styles of your own.", "Use --style all, or train one with `stylekit train`.")
        names += group
    require(bool(names), "No style given.", "Pass at least one with --style, or use --style all.")
    return list(dict.fromkeys(names))


def contact_sheet(
    photo: ImageLike,
    styles: Sequence[Path | str] | Path | str = "all",
    config: SheetConfig | None = None,
    *,
    on_plan: Callable[[int], None] = lambda styles: None,
    on_style: Callable[[str, StylekitError | None], None] = lambda style, error: None,
) -> ContactSheet:
    """Show a photo in many styles, or in a few styles with several strengths and stroke sizes, as one labeled image.

    Each tile shows a reduced version of the full-size result. If a style fails, its tile is empty and shows the reason.
    If all styles fail, the first failure is raised.

    Args:
        photo: A path, a Pillow image of any mode, or RGB values `(H, W, 3)` of type uint8.
        styles: Names of styles, or paths of style files or importable weights; `all`, `bundled` and `own` stand for
            groups of the styles on this machine.
        config: The settings; None uses the defaults.
        on_plan: Called once with the number of styles.
        on_style: Called once the tiles of a style are painted, with the style, and its error or None.

    Raises:
        ConfigError: If no style is given, or the sheet would be too large.
        StyleNotFound: If a style does not exist.
        ImageError: If the photo cannot be read.
        StylekitError: If every style failed.
    """
    config = config or SheetConfig()
    start = time.monotonic()
    words = [str(style) for style in ([styles] if isinstance(styles, Path | str) else styles)]
    files = {name: locate_style(name) for name in select_styles(words)}
    subject = open_subject(photo, config, len(files))
    layout = _layout(subject, len(files), config)
    on_plan(len(files))
    drawing = SheetDrawing(_name_of(photo), subject, layout, config)
    tiles: list[SheetTile] = []
    hashes: dict[str, str] = {}
    errors: list[StylekitError] = []
    with closing(paint_styles(subject, files, config)) as results:
        for painted, boxes, captions in zip(results, layout.tiles, layout.captions, strict=True):
            drawing.add(painted, boxes, captions)
            tiles += _reports(painted, boxes, config)
            if painted.error is None:
                hashes[painted.name] = painted.weights_sha256
            else:
                errors.append(painted.error)
            on_style(painted.name, painted.error)
    if not hashes:
        raise errors[0]
    return ContactSheet(
        image=drawing.image,
        photo=astuple(layout.photos[0]),
        tiles=tuple(tiles),
        columns=layout.columns,
        rows=layout.rows,
        recipe=_recipe(hashes, config),
        notes=(*subject.base.notes, *_alike(subject, config)),
        seconds=time.monotonic() - start,
    )


def _alike(subject: Subject, config: SheetConfig) -> list[str]:
    """Return a note about stroke sizes that look alike, because they are too small to differ in the tiles."""
    alike = [
        stroke_size_text(stroke_size)
        for stroke_size, size in zip(config.stroke_sizes, subject.painted, strict=True)
        if subject.painted.count(size) > 1
    ]
    return [f"{' and '.join(alike)} look alike in tiles of {config.size} px"] if alike else []


def _layout(subject: Subject, styles: int, config: SheetConfig) -> Layout:
    """Return the layout of a gallery, or of a grid if there are several strengths or stroke sizes."""
    metrics = Metrics.of(config.size)
    if config.is_grid:
        columns = len(column_headings(config))
        rows = len(config.stroke_sizes) * len(config.strengths) // columns
        layout = grid(subject.tile, styles, rows, columns, metrics)
    else:
        layout = gallery(subject.size, subject.tile, styles, config.columns, metrics)
    require(
        layout.width * layout.height <= _MOST_PIXELS,
        f"The sheet would have {layout.width:,} × {layout.height:,} pixels.",
        "Use a smaller --size, or fewer styles.",
    )
    return layout


def _name_of(photo: ImageLike) -> str:
    return Path(photo).name if isinstance(photo, str | Path) else "photo"


def _reports(tiles: StyleTiles, boxes: Sequence[Box], config: SheetConfig) -> Iterator[SheetTile]:
    """Yield a `SheetTile` for each tile of a style."""
    reason, hint = ("", "") if tiles.error is None else (tiles.error.message, tiles.error.hint)
    for (stroke_size, strength), box in zip(product(config.stroke_sizes, config.strengths), boxes, strict=True):
        yield SheetTile(
            tiles.name, tiles.credits, stroke_size, strength, box.x, box.y, box.width, box.height, reason, hint
        )


def _recipe(hashes: Mapping[str, str], config: SheetConfig) -> str:
    """Return the recipe of a sheet, in the same form as the recipes of `apply`."""
    styles = [{"name": style_label(name), "weights_sha256": weights} for name, weights in hashes.items()]
    options = {
        "stroke_size": config.stroke_sizes,
        "strength": config.strengths,
        "keep_colors": config.keep_colors,
        "size": config.size,
    }
    return json.dumps({"stylekit": __version__, "kind": "sheet", "styles": styles, "options": options})

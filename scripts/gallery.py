"""Make the gallery: every bundled style on the same photos.

    python scripts/gallery.py

Writes `docs/gallery.md`, an image for each style and photo in `docs/images/gallery/`, and the README's sheet of all
styles, `docs/images/gallery.jpg`.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from stylekit import load_style
from stylekit.styles.catalog import CatalogEntry, local_styles

DOCS = Path(__file__).resolve().parent.parent / "docs"
PHOTOS = (DOCS / "images" / "harbour.jpg", DOCS / "images" / "still-life.jpg")
WIDTH = 720  # pixels of the gallery's images
SHEET_COLUMNS = 4
SHEET_WIDTH = 1600
CAPTION_HEIGHT = 26


def paint(entries: Sequence[CatalogEntry], folder: Path) -> dict[tuple[str, str], Image.Image]:
    """Stylize each photo in each style at its own size; write the results, and return them, reduced to `WIDTH`.

    Args:
        entries: The styles.
        folder: Where the results go.

    Returns:
        The results, by name of the style and of the photo.
    """
    folder.mkdir(parents=True, exist_ok=True)
    results = {}
    for entry in entries:
        style = load_style(entry.name)
        for path in PHOTOS:
            with Image.open(path) as photo:
                result = reduced(style(photo), WIDTH)
            result.save(folder / f"{path.stem}-{entry.name}.jpg", quality=85)
            results[entry.name, path.stem] = result
            print(f"{entry.name} on {path.stem}", flush=True)
    return results


def reduced(image: Image.Image, width: int) -> Image.Image:
    """Return an image at another width."""
    return image.resize((width, round(image.height * width / image.width)), Image.Resampling.LANCZOS)


def credit(entry: CatalogEntry) -> str:
    """Return the title, painter and year of a style's painting."""
    about = entry.credits
    return ", ".join(part for part in (about.title, about.artist, about.year) if part)


def page(entries: Sequence[CatalogEntry]) -> str:
    """Return the gallery's Markdown."""
    lines = [
        "# Gallery",
        "",
        "Every bundled style on the same two photos:",
        "",
        "```",
        "stylekit apply PHOTO --style NAME",
        "```",
        "",
        "All were trained with `stylekit train` on paintings in the public domain;",
        "`stylekit styles info NAME --verbose` shows how. The page is written by `python scripts/gallery.py`.",
        "",
        " ".join(f"![{path.stem}](images/{path.name})" for path in PHOTOS),
    ]
    for entry in entries:
        images = [f"![{path.stem} as {entry.name}](images/gallery/{path.stem}-{entry.name}.jpg)" for path in PHOTOS]
        lines += ["", f"## {entry.name}", "", f"{credit(entry)}.", "", " ".join(images)]
    return "\n".join(lines) + "\n"


def sheet(styles: Mapping[str, Sequence[Image.Image]]) -> Image.Image:
    """Return a sheet of all styles in rows, each with its images in a column and its name below them."""
    width = SHEET_WIDTH // SHEET_COLUMNS
    cells = {name: [reduced(image, width) for image in images] for name, images in styles.items()}
    height = max(sum(image.height for image in cell) for cell in cells.values()) + CAPTION_HEIGHT
    whole = Image.new("RGB", (SHEET_WIDTH, -(-len(cells) // SHEET_COLUMNS) * height), "white")
    draw, font = ImageDraw.Draw(whole), ImageFont.load_default(size=16)
    for number, (name, cell) in enumerate(cells.items()):
        left, top = number % SHEET_COLUMNS * width, number // SHEET_COLUMNS * height
        for image in cell:
            whole.paste(image, (left, top))
            top += image.height
        draw.text((left + width / 2, top + CAPTION_HEIGHT / 2), name, "black", font, anchor="mm")
    return whole


def main() -> None:
    """Write the page, the images and the sheet."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    entries = [entry for entry in local_styles() if entry.where == "bundled"]
    results = paint(entries, DOCS / "images" / "gallery")
    (DOCS / "gallery.md").write_text(page(entries), encoding="utf-8")
    shown = {entry.name: [results[entry.name, path.stem] for path in PHOTOS] for entry in entries}
    sheet(shown).save(DOCS / "images" / "gallery.jpg", quality=88)


if __name__ == "__main__":
    main()

"""Paint the gallery: every bundled style on the same photos.

    python benchmarks/gallery.py

Writes `docs/gallery.md`, a picture for each style and photo into `docs/images/gallery/`, and the README's sheet of all
styles, `docs/images/gallery.jpg`.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from stylekit import load_style
from stylekit.styles.catalog import CatalogEntry, styles_at_hand

DOCS = Path(__file__).resolve().parent.parent / "docs"
PHOTOS = (DOCS / "images" / "harbour.jpg", DOCS / "images" / "still-life.jpg")
WIDTH = 720  # of the gallery's pictures
SHEET_COLUMNS = 4
SHEET_WIDTH = 1600
CAPTION_HEIGHT = 26


def paint(entries: Sequence[CatalogEntry], folder: Path) -> dict[tuple[str, str], Image.Image]:
    """Paint each photo in each style at its own size, and keep it reduced."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures = {}
    for entry in entries:
        style = load_style(entry.name)
        for path in PHOTOS:
            with Image.open(path) as photo:
                picture = reduced(style(photo), WIDTH)
            picture.save(folder / f"{path.stem}-{entry.name}.jpg", quality=85)
            pictures[entry.name, path.stem] = picture
            print(f"{entry.name} on {path.stem}", flush=True)
    return pictures


def reduced(picture: Image.Image, width: int) -> Image.Image:
    """A picture at another width."""
    return picture.resize((width, round(picture.height * width / picture.width)), Image.Resampling.LANCZOS)


def credit(entry: CatalogEntry) -> str:
    """Whose painting a style was trained from."""
    about = entry.credits
    return ", ".join(part for part in (about.title, about.artist, about.year) if part)


def page(entries: Sequence[CatalogEntry]) -> str:
    """The gallery's Markdown."""
    lines = [
        "# Gallery",
        "",
        "Every style in the package on the same two photos, painted with `stylekit apply PHOTO --style NAME` by",
        "`python benchmarks/gallery.py`. All were trained with `stylekit train` from paintings in the public domain;",
        "`stylekit styles info NAME` shows how.",
        "",
        " ".join(f"![{path.stem}](images/{path.name})" for path in PHOTOS),
    ]
    for entry in entries:
        images = [f"![{path.stem} as {entry.name}](images/gallery/{path.stem}-{entry.name}.jpg)" for path in PHOTOS]
        lines += ["", f"## {entry.name}", "", f"{credit(entry)}.", "", " ".join(images)]
    return "\n".join(lines) + "\n"


def sheet(styles: Mapping[str, Sequence[Image.Image]]) -> Image.Image:
    """All styles in rows, each with its pictures one above the other and its name below them."""
    width = SHEET_WIDTH // SHEET_COLUMNS
    cells = {name: [reduced(picture, width) for picture in pictures] for name, pictures in styles.items()}
    height = max(sum(picture.height for picture in cell) for cell in cells.values()) + CAPTION_HEIGHT
    whole = Image.new("RGB", (SHEET_WIDTH, -(-len(cells) // SHEET_COLUMNS) * height), "white")
    draw, font = ImageDraw.Draw(whole), ImageFont.load_default(size=16)
    for number, (name, cell) in enumerate(cells.items()):
        left, top = number % SHEET_COLUMNS * width, number // SHEET_COLUMNS * height
        for picture in cell:
            whole.paste(picture, (left, top))
            top += picture.height
        draw.text((left + width / 2, top + CAPTION_HEIGHT / 2), name, "black", font, anchor="mm")
    return whole


def main() -> None:
    """Write page, pictures and sheet."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    entries = [entry for entry in styles_at_hand() if entry.where == "bundled"]
    pictures = paint(entries, DOCS / "images" / "gallery")
    (DOCS / "gallery.md").write_text(page(entries), encoding="utf-8")
    shown = {entry.name: [pictures[entry.name, path.stem] for path in PHOTOS] for entry in entries}
    sheet(shown).save(DOCS / "images" / "gallery.jpg", quality=88)


if __name__ == "__main__":
    main()

"""Paint the gallery: every bundled style on the same photos.

    python benchmarks/gallery.py

Writes `docs/gallery.md`, a picture for each style and photo into `docs/images/gallery/`, and the README's sheet of all
styles, `docs/images/gallery.jpg`.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from stylekit import load_style
from stylekit.catalog import CatalogEntry, styles_at_hand

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


def sheet(pictures: Sequence[tuple[str, Image.Image]]) -> Image.Image:
    """All pictures in rows, each with its name below it."""
    width = SHEET_WIDTH // SHEET_COLUMNS
    height = max(reduced(picture, width).height for _, picture in pictures) + CAPTION_HEIGHT
    rows = -(-len(pictures) // SHEET_COLUMNS)
    whole = Image.new("RGB", (SHEET_WIDTH, rows * height), "white")
    draw, font = ImageDraw.Draw(whole), ImageFont.load_default(size=16)
    for number, (name, picture) in enumerate(pictures):
        left, top = number % SHEET_COLUMNS * width, number // SHEET_COLUMNS * height
        whole.paste(reduced(picture, width), (left, top))
        draw.text((left + width / 2, top + height - CAPTION_HEIGHT / 2), name, "black", font, anchor="mm")
    return whole


def main() -> None:
    """Write page, pictures and sheet."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    entries = [entry for entry in styles_at_hand() if entry.where == "bundled"]
    pictures = paint(entries, DOCS / "images" / "gallery")
    (DOCS / "gallery.md").write_text(page(entries), encoding="utf-8")
    photos = [PHOTOS[number % len(PHOTOS)].stem for number in range(len(entries))]
    shown = [(entry.name, pictures[entry.name, photo]) for entry, photo in zip(entries, photos, strict=True)]
    sheet(shown).save(DOCS / "images" / "gallery.jpg", quality=88)


if __name__ == "__main__":
    main()

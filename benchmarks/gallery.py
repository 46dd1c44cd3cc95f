"""Paint the gallery: every bundled style on the same two photos, and docs/gallery.md that shows them.

    python benchmarks/gallery.py

The photos are docs/images/harbour.jpg and docs/images/still-life.jpg, both rendered for this project. The pictures
are small JPEGs under docs/gallery/; run it again after any change of a style or of the network.
"""

from pathlib import Path

from PIL import Image

from stylekit import list_styles, load_style

DOCS = Path(__file__).parents[1] / "docs"
PHOTOS = ("harbour", "still-life")
WIDTH = 480

_HEAD = """# Gallery

Every style that ships with the package, on two photos that were rendered for this project; made by
`python benchmarks/gallery.py`. The photos:

{photos}
"""


def shown(name: str, picture: Image.Image) -> str:
    """Save a picture at the gallery's width and return the Markdown that shows it."""
    path = DOCS / "gallery" / f"{name}.jpg"
    path.parent.mkdir(exist_ok=True)
    picture.resize((WIDTH, round(picture.height * WIDTH / picture.width)), Image.Resampling.LANCZOS).save(
        path, quality=85, optimize=True
    )
    return f"![{name}](gallery/{path.name})"


def main() -> None:
    """Write the pictures and the page."""
    photos = {name: Image.open(DOCS / "images" / f"{name}.jpg").convert("RGB") for name in PHOTOS}
    page = [_HEAD.format(photos=" ".join(shown(name, photo) for name, photo in photos.items()))]
    for entry in list_styles():
        if entry.where != "bundled":
            continue
        style = load_style(entry.name, device="cpu")
        pictures = [shown(f"{name}-{entry.name}", style(photo)) for name, photo in photos.items()]
        about = entry.credits
        page.append(f"## {entry.name}\n\n{about.artist}, *{about.title}*, {about.year}.\n\n{' '.join(pictures)}\n")
    (DOCS / "gallery.md").write_text("\n".join(page))


if __name__ == "__main__":
    main()

"""Make the thumbnails of the bundled styles' paintings, which `stylekit sheet` shows.

    python scripts/thumbnails.py PAINTINGS

PAINTINGS is a folder with a `NAME.jpg` for each bundled style. The paintings are in the public domain; the style files
name the painters.
"""

import argparse
from pathlib import Path

from PIL import Image

from stylekit.styles.locations import bundled_styles_dir, style_files
from stylekit.styles.thumbnails import THUMBNAILS

SIDE = 128  # pixels, the longer side


def main() -> None:
    """Write a thumbnail for each bundled style."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paintings", type=Path, metavar="PAINTINGS")
    folder: Path = parser.parse_args().paintings
    THUMBNAILS.mkdir(exist_ok=True)
    for style in sorted(style_files(bundled_styles_dir())):
        with Image.open(folder / f"{style.stem}.jpg") as painting:
            thumbnail = painting.convert("RGB")
        thumbnail.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
        path = THUMBNAILS / f"{style.stem}.jpg"
        thumbnail.save(path, quality=85, optimize=True)
        print(f"{path.name}  {thumbnail.width} x {thumbnail.height}  {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()

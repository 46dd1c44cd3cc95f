"""Choose fonts for the text on a contact sheet, and fit the text to a width."""

import unicodedata
from collections.abc import Iterator
from functools import cache

from PIL import ImageFont, features

_MISSING = "\uffff"  # a character that no font has

# System fonts that have more characters than Pillow's own font, which covers only English.
_SYSTEM_FONTS = (
    *("LiberationSans-Regular.ttf", "NotoSans-Regular.ttf", "DejaVuSans.ttf", "Helvetica.ttc", "Arial.ttf"),
    *("segoeui.ttf", "NotoSansCJK-Regular.ttc", "DroidSansFallbackFull.ttf", "PingFang.ttc", "msyh.ttc"),
    "Arial Unicode.ttf",
)

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def drawable_text(text: str, size: int) -> tuple[str, Font]:
    """Return a text without the characters that no font has, and a font that has all others.

    Args:
        text: Any text; control characters are left out.
        size: The size of the text in pixels.
    """
    text = "".join(character for character in text if character.isprintable())
    for font in _fonts(size):
        if _has_all(font, text):
            return text, font
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return plain, next(_fonts(size))


def wrapped(text: str, font: Font, width: int) -> list[str]:
    """Split a text into lines that fit a width, except for single words that are wider."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        lines = [*lines[:-1], longer] if font.getlength(longer) <= width else [*lines, word]
    return [line for line in lines if line]


def shortened(text: str, font: Font, width: int) -> str:
    """Shorten a text to a width, with an ellipsis where it is cut."""
    if font.getlength(text) <= width:
        return text
    dots = "…" if isinstance(font, ImageFont.FreeTypeFont) else "..."
    while text and font.getlength(text.rstrip() + dots) > width:
        text = text[:-1]
    return f"{text.rstrip()}{dots}" if text else ""


def _fonts(size: int) -> Iterator[Font]:
    """Yield the fonts of this machine, the preferred one first."""
    yield _own_font(size)
    for name in _SYSTEM_FONTS:
        if (font := _system_font(name, size)) is not None:
            yield font


@cache
def _own_font(size: int) -> Font:
    """Return Pillow's own font; without FreeType, a bitmap of a fixed size."""
    return ImageFont.load_default(size) if features.check("freetype2") else ImageFont.load_default_imagefont()


@cache
def _system_font(name: str, size: int) -> Font | None:
    try:
        return ImageFont.truetype(name, size)
    except (OSError, ImportError):
        return None


def _has_all(font: Font, text: str) -> bool:
    if isinstance(font, ImageFont.ImageFont):
        return text.isascii()
    missing = bytes(font.getmask(_MISSING))
    return all(character.isspace() or bytes(font.getmask(character)) != missing for character in set(text))

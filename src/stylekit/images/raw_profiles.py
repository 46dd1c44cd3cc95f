"""Metadata that older programs (ImageMagick, exiv2) write into PNGs as hexadecimal text."""

import contextlib

from PIL import Image

_PREFIX = "Raw profile type "
_XMP_MARK = b"http://ns.adobe.com/xap/1.0/\0"
_EXIF_MARK = b"Exif\0\0"


def raw_profiles(image: Image.Image) -> dict[str, bytes]:
    """Return the profiles in an image's text by name, such as `exif`, `xmp` and `icc`; corrupt ones are left out.

    The value of `iptc` may be a block of Photoshop image resources that contains IPTC.
    """
    profiles: dict[str, bytes] = {}
    for key, text in image.info.items():
        if not (isinstance(key, str) and key.startswith(_PREFIX) and isinstance(text, str)):
            continue
        with contextlib.suppress(ValueError):  # "\nNAME\n    LENGTH\nHEXADECIMAL"
            _, _, hexadecimal = text.strip().split("\n", 2)
            profile = bytes.fromhex(hexadecimal)
            profiles.setdefault(_kind(key.removeprefix(_PREFIX).lower(), profile), profile.removeprefix(_XMP_MARK))
    return profiles


def _kind(name: str, profile: bytes) -> str:
    """Return the usual name for a profile: the JPEG segment APP1, for example, can hold EXIF or XMP."""
    if name == "app1":
        return "exif" if profile.startswith(_EXIF_MARK) else "xmp"
    return {"8bim": "iptc", "icm": "icc"}.get(name, name)

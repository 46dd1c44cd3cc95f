"""Write compressed TIFFs with EXIF."""

import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.ExifTags import Base

from stylekit.images.exif import (
    BYTE,
    LONG,
    RATIONAL,
    SHORT,
    TIFF_HEAD,
    UNDEFINED,
    decode_exif_block,
    encode_directory,
)


def encode_tiff(image: Image.Image, path: Path) -> None:
    """Write a TIFF with Deflate compression and with EXIF, which Pillow's encoder cannot combine.

    Args:
        image: RGB or RGBA, with its metadata in `info`.
        path: The file to write.
    """
    pixels = np.asarray(image)
    height, width, channels = pixels.shape
    steps = pixels.copy()
    steps[:, 1:] -= pixels[:, :-1]  # predictor 2: differences between neighbors deflate better
    rows = 64
    strips = [zlib.compress(steps[top : top + rows].tobytes(), 1) for top in range(0, height, rows)]
    ends = np.cumsum([TIFF_HEAD.size, *map(len, strips)])

    shorts = {
        Base.BitsPerSample: [8] * channels,
        Base.Compression: [8],
        Base.PhotometricInterpretation: [2],
        Base.SamplesPerPixel: [channels],
        Base.PlanarConfiguration: [1],
        Base.Predictor: [2],
        **({Base.ExtraSamples: [2]} if channels == 4 else {}),  # unassociated alpha: colors are not premultiplied
    }
    longs = {
        Base.ImageWidth: [width],
        Base.ImageLength: [height],
        Base.StripOffsets: ends[:-1],
        Base.RowsPerStrip: [rows],
        Base.StripByteCounts: np.diff(ends),
    }
    info = image.info
    directory = decode_exif_block(info.get("exif"))
    directory |= {tag: (SHORT, np.array(values, "<u2").tobytes()) for tag, values in shorts.items()}
    directory |= {tag: (LONG, np.array(values, "<u4").tobytes()) for tag, values in longs.items()}
    if "dpi" in info:
        directory[Base.ResolutionUnit] = (SHORT, b"\2\0")
        for tag, value in zip((Base.XResolution, Base.YResolution), info["dpi"], strict=True):
            directory[tag] = (RATIONAL, struct.pack("<II", round(value * 10_000), 10_000))
    if "xmp" in info:
        directory[Base.XMLPacket] = (BYTE, info["xmp"])
    if "icc_profile" in info:
        directory[Base.InterColorProfile] = (UNDEFINED, info["icc_profile"])

    start = int(ends[-1] + ends[-1] % 2)
    with path.open("wb") as file:
        file.write(TIFF_HEAD.pack(b"II*\0", start))
        file.writelines(strips)
        file.write(bytes(start - int(ends[-1])))
        file.write(encode_directory(directory, start))

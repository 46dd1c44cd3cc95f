"""Image files, EXIF and color profiles for tests, made by hand."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms
from PIL.ExifTags import IFD, Base

from stylekit.errors import ImageError
from stylekit.images.formats import format_of_suffix
from stylekit.images.reading import load_photo
from stylekit.images.writing import save_photo


def read_image(path):
    """Return the image in a file, loaded, so that the file is closed."""
    with Image.open(path) as image:
        image.load()
    return image


def load(path, **options):
    return load_photo(path, **{"max_pixels": 10**7, **options})


def save(photo, path, format=None, quality=95, **options):
    return save_photo(photo, path, format=format or format_of_suffix(path.suffix), quality=quality, **options)


def need(format):
    """Skip the test where the format's extra is absent; otherwise make Pillow know it."""
    if format == "heic":
        pytest.importorskip("pillow_heif", reason="the extra for HEIC is not installed").register_heif_opener()


def make_exif(orientation=1, order="<", thumbnail=b"", details=None):
    """Return EXIF of a camera: make, artist beyond ASCII, exposure, size, GPS, color space, interoperability."""
    exif = Image.Exif()
    exif.endian = order
    exif[Base.Make] = "Pentacon"
    exif[Base.Artist] = "Änne".encode()
    exif[Base.Orientation] = orientation
    exif[IFD.Exif] = {
        Base.ExposureTime: (1, 125),
        Base.ExposureBiasValue: (-1, 3),
        Base.ExifVersion: b"0232",
        Base.UserComment: b"ASCII\0\0\0by the sea",
        Base.ColorSpace: 65535,
        Base.ExifImageWidth: 4000,
        Base.ExifImageHeight: 3000,
        IFD.Interop: {1: "R98"},
        **(details or {}),
    }
    exif[IFD.GPSInfo] = {1: "N", 2: (52.0, 30.0, 15.5)}
    block = exif.tobytes()
    if not thumbnail:
        return block
    head = 6
    count = struct.unpack_from(f"{order}H", block, head + 8)[0]
    next_pointer = head + 8 + 2 + 12 * count
    second = len(block) - head
    directory = struct.pack(f"{order}HHHIIHHIII", 2, 0x201, 4, 1, second + 30, 0x202, 4, 1, len(thumbnail), 0)
    return block[:next_pointer] + struct.pack(f"{order}I", second) + block[next_pointer + 4 :] + directory + thumbnail


def exif_of(path):
    with Image.open(path) as image:
        exif = image.getexif()
        details = exif.get_ifd(IFD.Exif)
        return exif, details, exif.get_ifd(IFD.GPSInfo), exif.get_ifd(IFD.Interop) if details else {}


SRGB_TO_XYZ = np.array([[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]])


ADOBE_TO_XYZ = np.array([[0.60974, 0.20528, 0.14919], [0.31111, 0.62567, 0.06322], [0.01947, 0.06087, 0.74457]])


ADOBE_GAMMA = 563 / 256


D50 = np.array([0.9642, 1.0, 0.8249])


def make_profile(space, device_class, tags, connection=b"XYZ "):
    """Return an ICC profile of version 2 with the tags given as bytes."""
    tags = {b"wtpt": xyz_tag(D50), b"cprt": b"text\0\0\0\0none\0", b"desc": text_tag(b"test"), **tags}
    table, data = struct.pack(">I", len(tags)), b""
    for name, value in tags.items():
        table += struct.pack(">4sII", name, 128 + 4 + 12 * len(tags) + len(data), len(value))
        data += value + bytes(-len(value) % 4)
    head = struct.pack(
        ">I4sI4s4s4s", 128 + len(table) + len(data), bytes(4), 0x02400000, device_class, space, connection
    )
    head += struct.pack(">6H4s", 2020, 1, 1, 0, 0, 0, b"acsp") + bytes(28)
    head += struct.pack(">3i", *(round(v * 65536) for v in D50))
    return head + bytes(128 - len(head)) + table + data


def xyz_tag(values):
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(v * 65536) for v in values))


def text_tag(text):
    return b"desc\0\0\0\0" + struct.pack(">I", len(text) + 1) + text + bytes(79)


def gamma_tag(gamma):
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))


def adobe_rgb():
    primaries = {
        name: xyz_tag(column) for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), ADOBE_TO_XYZ.T, strict=True)
    }
    curves = dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), gamma_tag(ADOBE_GAMMA))
    return make_profile(b"RGB ", b"mntr", primaries | curves)


def dull_inks(device_class=b"prtr"):
    """A CMYK profile whose inks mix towards a dark gray in CIELAB, cyan being (55, -37, -50)."""
    white, inks = np.array([100.0, 0, 0]), np.array([[-45, -37, -50], [-50, 70, -5], [-10, -5, 90], [-80, 0, 0]])
    corners = [white + np.array(list(np.binary_repr(i, 4)), float) @ inks for i in range(16)]
    corners = [(lightness, a, b) if lightness > 5 else (5, 0, 0) for lightness, a, b in corners]
    grid = [(lightness * 2.55, a + 128, b + 128) for lightness, a, b in corners]
    table = (
        b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + struct.pack(">9i", *(65536 * v for v in (1, 0, 0, 0, 1, 0, 0, 0, 1)))
    )
    table += bytes(range(256)) * 4 + np.clip(np.rint(grid), 0, 255).astype(np.uint8).tobytes() + bytes(range(256)) * 3
    return make_profile(b"CMYK", device_class, {b"A2B0": table, b"A2B1": table}, connection=b"Lab ")


def srgb_of_xyz(xyz):
    linear = (np.linalg.inv(SRGB_TO_XYZ) @ xyz).clip(0, 1)
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def srgb_of_lab(lightness, a, b):
    y = (lightness + 16) / 116
    f = np.array([y + a / 500, y, y - b / 200])
    return srgb_of_xyz(D50 * np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)))


SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


LOSSLESS = ("png", "tiff", "bmp")


def make_xmp(attributes="", content=""):
    """Return an XMP packet whose one description has these attributes and properties."""
    rdf = 'xmlns:x="adobe:ns:meta/" xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"'
    description = f'<rdf:Description rdf:about="" {attributes}>{content}</rdf:Description>'
    return f"<x:xmpmeta {rdf}><rdf:RDF>{description}</rdf:RDF></x:xmpmeta>".encode()


XMP = make_xmp(
    'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/" '
    'tiff:Orientation="6" dc:source="bridge"'
)


STORED = {  # how an upright image is stored in a file of each orientation (EXIF 2.3, tag 274)
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, -1),
}


def png_text(key, text):
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_itxt(key, text)
    return info


def png_chunk(name, data, intact=True):
    """Return a chunk of a PNG, with a right or a wrong checksum."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data) ^ (not intact))


def png_of(color_type, depth, rows, size):
    """Return a PNG of any depth, which Pillow does not write."""
    head = png_chunk(b"IHDR", struct.pack(">IIBBBBB", *size, depth, color_type, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + png_chunk(b"IDAT", zlib.compress(rows)) + png_chunk(b"IEND", b"")


def rejected(path, **options):
    with pytest.raises(ImageError) as caught:
        load(path, **options)
    assert "\n" not in caught.value.message
    assert path.name in caught.value.message
    return caught.value.message


# --- TIFFs of every kind, which Pillow does not write


def packed(values, bits, order):
    """Return rows of samples as a TIFF holds them."""
    rows = values.reshape(len(values), -1)
    if bits in (8, 16, 32, 64):
        kind = "f" if values.dtype.kind == "f" else "u"
        return (rows if kind == "f" else rows % 2**bits).astype(f"{order}{kind}{bits // 8}").tobytes()
    digits = (rows[..., None].astype(np.int64) >> np.arange(bits - 1, -1, -1)) & 1
    return np.packbits(digits.reshape(len(rows), -1).astype(np.uint8), axis=1).tobytes()


def cut(values, tiled):
    """Return the strips of an image, or its tiles in rows."""
    if not tiled:
        return [values[top : top + 16] for top in range(0, len(values), 16)]
    height, width = values.shape[:2]
    padded = np.pad(values, ((0, -height % 16), (0, -width % 16), (0, 0)))
    return [padded[top : top + 16, left : left + 16] for top in range(0, height, 16) for left in range(0, width, 16)]


def make_tiff(
    values,
    *,
    bits,
    photometric,
    order="<",
    planes=False,
    compressed=False,
    tiled=False,
    format=None,
    extra=(),
    colors=None,
    fill_order=1,
    compression=None,
    data=None,
    shorts=None,
):
    """Return samples `(H, W, S)` as a TIFF of that kind; `shorts` are more tags, `data` replaces the pixels."""
    height, width, samples = values.shape
    parts = [values[..., n : n + 1] for n in range(samples)] if planes else [values]
    blocks = [packed(block, bits, order) for part in parts for block in cut(part, tiled)] if data is None else [data]
    if fill_order == 2:
        blocks = [bytes(int(f"{byte:08b}"[::-1], 2) for byte in block) for block in blocks]
    if compressed:
        blocks = [zlib.compress(block) for block in blocks]
    lengths = [len(block) for block in blocks]
    offsets = [8 + sum(lengths[:n]) for n in range(len(blocks))]
    tags = {
        **{256: [width], 257: [height], 258: [bits] * samples, 277: [samples], 284: [2 if planes else 1]},
        **{259: [compression or (8 if compressed else 1)], 262: [photometric], 266: [fill_order]},
        **({322: [16], 323: [16]} if tiled else {278: [16 if data is None else height]}),
        **{339: [format] * samples, 338: list(extra), 320: colors, **(shorts or {})},
        **{(324 if tiled else 273): offsets, (325 if tiled else 279): lengths},
    }
    tags = {tag: numbers for tag, numbers in sorted(tags.items()) if numbers and numbers[0] is not None}
    body = b"".join(blocks) + bytes(sum(lengths) % 2)
    start = 8 + len(body)
    entries, extended = struct.pack(f"{order}H", len(tags)), b""
    for tag, numbers in tags.items():
        kind, code = (4, "I") if tag in (273, 279, 324, 325) else (3, "H")
        content = struct.pack(f"{order}{len(numbers)}{code}", *numbers)
        if len(content) > 4:
            place = struct.pack(f"{order}I", start + 2 + 12 * len(tags) + 4 + len(extended))
            extended, content = extended + content + bytes(len(content) % 2), place
        entries += struct.pack(f"{order}HHI", tag, kind, len(numbers)) + content.ljust(4, b"\0")
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(f"{order}I", start)
    return head + body + entries + bytes(4) + extended

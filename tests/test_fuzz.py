"""Hostile files: reading them returns an image, a style or a catalog, or raises a `StylekitError`, and nothing else.

Each case is made from its number alone, which a failure names. `STYLEKIT_FUZZ` multiplies the number of cases: 1 takes
half a minute on two cores, 100 an hour.
"""

import io
import json
import os
import struct
from contextlib import closing
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from stylekit.errors import StylekitError
from stylekit.images.formats import format_of_suffix
from stylekit.images.reading import load_photo
from stylekit.images.writing import save_photo
from stylekit.styles.catalog import remote_styles
from stylekit.styles.importers import import_weights
from stylekit.styles.style_file import load_style_file, read_metadata
from stylekit.system.prefetch import prefetch
from stylekit.system.processes import WorkerPool
from stylekit.system.processors import usable_cores

SCALE = float(os.environ.get("STYLEKIT_FUZZ", "1"))
MOST_PIXELS = 2_000_000
NUMBERS = [0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]


def mutated(data, random):
    """Damage some bytes, lengths, dimensions and places of a file."""
    data = bytearray(data)
    for _ in range(random.integers(1, 6)):
        place = int(random.integers(0, len(data)) if random.random() < 0.5 else random.integers(0, min(len(data), 256)))
        match random.integers(0, 7):
            case 0:
                data[place] ^= 1 << int(random.integers(0, 8))
            case 1:
                data[place] = int(random.integers(0, 256))
            case 2:  # a length, count, offset or dimension
                kind = str(random.choice(["<H", ">H", "<I", ">I"]))
                number = int(random.choice(NUMBERS)) & (0xFFFF if kind[1] == "H" else 0xFFFFFFFF)
                data[place : place + struct.calcsize(kind)] = struct.pack(kind, number)
            case 3:
                del data[place:]
            case 4:
                del data[place : place + int(random.integers(1, 64))]
            case 5:
                data[place:place] = random.bytes(int(random.integers(1, 64)))
            case 6:  # one part replaced by another
                other, length = int(random.integers(0, len(data))), int(random.integers(1, 128))
                data[place : place + length] = data[other : other + length]
        if not data:
            break
    return bytes(data)


# --- Images


def xmp():
    return b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><tiff:Orientation>6</tiff:Orientation></rdf:RDF></x:xmpmeta>'


@cache
def images():
    """Small images of every format and mode, with all the metadata that they can hold."""
    rows, columns = np.mgrid[0:24, 0:33]
    rgb = np.stack([rows * 9, columns * 7, rows * columns % 256], axis=-1).astype(np.uint8)
    color = Image.fromarray(rgb)
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Maker"
    plain = {"exif": exif.tobytes()}
    exif.get_ifd(0x8769).update({0x9003: "2026:01:01 00:00:00", 0x927C: b"note" * 9})
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    full = {"exif": exif.tobytes(), "icc_profile": profile}
    text = PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", xmp().decode(), zip=True)
    text.add_text("Comment", "x" * 50, zip=True)
    ways = [
        (color, "JPEG", {**full, "xmp": xmp(), "progressive": True}),
        (color.convert("CMYK"), "JPEG", {}),
        (color.convert("L"), "JPEG", {"exif": exif.tobytes()}),
        (color, "PNG", {**full, "pnginfo": text}),
        (color.convert("P"), "PNG", {"transparency": 3}),
        (color.convert("RGBA"), "PNG", {}),
        (Image.fromarray(rows.astype(np.uint16) * 2000), "PNG", {}),
        (color, "WEBP", {**full, "lossless": True}),
        (color.convert("RGBA"), "WEBP", {"save_all": True, "append_images": [color.convert("RGBA")]}),
        (color, "TIFF", {**plain, "icc_profile": profile, "compression": "tiff_lzw"}),
        (color.convert("L"), "TIFF", {"save_all": True, "append_images": [color.convert("L")]}),
        (Image.fromarray(rows.astype(np.float32)), "TIFF", {"compression": "tiff_adobe_deflate"}),
        (color.convert("LAB"), "TIFF", {}),
        (color, "BMP", {}),
        (color.convert("P"), "BMP", {}),
        (color.convert("P"), "GIF", {"save_all": True, "append_images": [color.convert("P")], "transparency": 1}),
        (color, "AVIF", full),
    ]
    return [written(*way) for way in ways] + heic(color)


def written(image, format, options):
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def heic(image):
    try:
        import pillow_heif
    except ImportError:
        return []
    pillow_heif.register_heif_opener()
    return [written(image, "HEIF", {})]


def open_image(number, folder):
    """Open a damaged image, and write one in ten of those that could be read."""
    random = np.random.default_rng(number)
    all_images = images()
    path = folder / f"{number}.jpg"
    path.write_bytes(mutated(all_images[number % len(all_images)], random))
    try:
        photo = load_photo(path, max_pixels=MOST_PIXELS, max_size=16 if number % 3 == 0 else None)
        assert photo.pixels.dtype == np.uint8
        assert photo.pixels.ndim == 3
        assert photo.pixels.size <= 3 * MOST_PIXELS
        if number % 100 < 10:
            suffix = str(random.choice([".jpg", ".png", ".webp", ".tif", ".bmp", ".avif"]))
            target = folder / f"{number}-out{suffix}"
            save_photo(photo, target, format=format_of_suffix(suffix), quality=90)
            target.unlink()
        outcome = "read"
    except StylekitError as error:
        outcome = unclear(error)
    path.unlink()
    return outcome


# --- Style files, weights to import, catalogs


def open_style(number, folder, original):
    random = np.random.default_rng(number)
    path = folder / f"{number}.safetensors"
    path.write_bytes(damaged_safetensors(original, random))
    try:
        read_metadata(path)
        load_style_file(path)
        outcome = "read"
    except StylekitError as error:
        outcome = unclear(error)
    path.unlink()
    return outcome


def damaged_safetensors(data, random):
    """Damage bytes anywhere, or a value in the header, which remains valid JSON."""
    if random.random() < 0.5:
        return mutated(data, random)
    length = int.from_bytes(data[:8], "little")
    header = damaged_json(json.loads(data[8 : 8 + length]), random)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data[8 + length :]


def damaged_json(content, random):
    """Replace a value at some depth by one that does not belong there, or remove it."""
    texts = ["", "x" * 5000, "\ud800", "../../etc/passwd"]
    strange: list[Any] = [None, True, -1, 1e308, 2**70, *texts, [], {}, [[[[]]]], {"a": {}}]
    if isinstance(content, dict) and content and random.random() < 0.85:
        key = str(random.choice(list(content)))
        if random.random() < 0.1:
            return {other: value for other, value in content.items() if other != key}
        return {**content, key: damaged_json(content[key], random)}
    if isinstance(content, list) and content and random.random() < 0.85:
        place = int(random.integers(0, len(content)))
        return [*content[:place], damaged_json(content[place], random), *content[place + 1 :]]
    return strange[int(random.integers(0, len(strange)))]


def open_weights(number, folder, originals):
    random = np.random.default_rng(number)
    suffix, data = originals[number % len(originals)]
    path = folder / f"{number}{suffix}"
    path.write_bytes(mutated(data, random))
    try:
        import_weights(path, "mine")
        outcome = "read"
    except StylekitError as error:
        outcome = unclear(error)
    path.unlink()
    return outcome


def open_catalog(number, folder, original):
    random = np.random.default_rng(number)
    content = damaged_json(json.loads(original), random)
    data = mutated(original, random) if random.random() < 0.3 else json.dumps(content).encode()
    path = folder / f"{number}.json"
    path.write_bytes(data)
    try:
        remote_styles([str(path)])
        outcome = "read"
    except StylekitError as error:
        outcome = unclear(error)
    path.unlink()
    return outcome


# --- What must hold for all


def unclear(error):
    """Return `refused`, or what is wrong with an error that a user would read."""
    lines = f"{error.message}\n{error.hint}".splitlines()
    if not error.message or len(lines) > 2 or len(error.message) > 500:
        return f"unclear: {type(error).__name__} {error.message[:100]!r} … {error.message[-100:]!r}"
    return "refused"


def outcome_of(number, attempt):
    try:
        return number, attempt(number)
    except Exception as error:
        return number, f"{type(error).__name__}: {error}"


def crashed(number):
    return number, "the worker crashed"


def outcomes(attempt, cases):
    """Return the outcome of each case, tried in worker processes, so that a crash is noticed."""
    numbers = range(round(cases * SCALE))
    workers = usable_cores()
    with closing(WorkerPool(partial(outcome_of, attempt=attempt), crashed)) as pool:
        return list(prefetch(pool, numbers, workers=workers, buffer=50))


def check(attempt, cases):
    results = outcomes(attempt, cases)
    wrong = {number: outcome for number, outcome in results if outcome not in ("read", "refused")}
    assert wrong == {}
    assert {outcome for _, outcome in results} == {"read", "refused"}  # or the damage is too small, or too great


def test_damaged_images(tmp_path):
    check(partial(open_image, folder=tmp_path), 20_000)
    assert list(tmp_path.iterdir()) == []


def test_damaged_style_files(tmp_path, style_path):
    check(partial(open_style, folder=tmp_path, original=style_path.read_bytes()), 5_000)


def test_damaged_catalogs(tmp_path):
    import stylekit

    original = Path(stylekit.__file__).parent / "styles" / "bundled" / "catalog.json"
    check(partial(open_catalog, folder=tmp_path, original=original.read_bytes()), 5_000)


@pytest.fixture(scope="module")
def published_weights(tmp_path_factory):
    """A `.pth` and an `.onnx` file of johnson, with small values, so that they compress well."""
    import torch

    from stylekit.networks import architecture

    network = architecture("johnson").build()
    file = io.BytesIO()
    torch.save(network.state_dict(), file)
    weights = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    return [(".pth", file.getvalue()), (".onnx", architecture("johnson").onnx_model({}, weights).SerializeToString())]


def test_damaged_weights_to_import(tmp_path, published_weights):
    check(partial(open_weights, folder=tmp_path, originals=published_weights), 300)

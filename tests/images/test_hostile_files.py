"""Hostile files raise nothing but the errors of images."""

import io
import random

import numpy as np
from PIL import Image

from stylekit.errors import ImageError
from tests.image_material import SRGB, XMP, load, make_exif, make_tiff, png_text


def seeds():
    """Return small files of every kind, with all the metadata that each holds."""
    noise = Image.effect_noise((40, 30), 80).convert("RGB")
    slope = Image.linear_gradient("L").resize(noise.size)
    clear = noise.copy()
    clear.putalpha(slope)
    known = {"exif": make_exif(6), "icc_profile": SRGB, "xmp": XMP}
    kinds = [
        (noise, "JPEG", {**known, "dpi": (300, 300)}),
        (noise.convert("CMYK"), "JPEG", {}),
        (clear, "PNG", {"exif": known["exif"], "icc_profile": SRGB}),
        (noise.convert("P"), "PNG", {"transparency": 3}),
        (clear, "WEBP", known),
        (noise, "GIF", {"save_all": True, "append_images": [slope.convert("RGB")]}),
        (noise, "BMP", {}),
        (noise, "TIFF", {"exif": known["exif"], "icc_profile": SRGB}),
        (slope.convert("F"), "TIFF", {}),
        (noise, "AVIF", known),
        (noise, "PNG", {"pnginfo": png_text("Raw profile type exif", f"\nexif\n  1\n{known['exif'].hex()}\n")}),
    ]
    values = np.arange(40 * 30 * 3).reshape(30, 40, 3) * 17 % 65536
    files = [
        make_tiff(values, bits=16, photometric=2, planes=True),
        make_tiff(values[..., :2], bits=16, photometric=1, extra=(2,), planes=True, compressed=True),
        make_tiff(values[..., :1] % 4096, bits=12, photometric=1),
        make_tiff(values % 256, bits=8, photometric=6, shorts={530: [1, 1]}),
        make_tiff(values[..., :1] % 16, bits=4, photometric=3, planes=True, colors=[*range(0, 240, 5)]),
    ]
    for image, format, options in kinds:
        file = io.BytesIO()
        image.save(file, format, **options)
        files.append(file.getvalue())
    return files


def mutated(data, chance):
    data = bytearray(data)
    place = chance.randrange(len(data))
    match chance.randrange(4):
        case 0:
            del data[place:]
        case 1:
            del data[place : place + chance.randrange(1, 20)]
        case 2:
            data[place:place] = chance.randbytes(chance.randrange(1, 9))
        case 3:
            for _ in range(chance.choice([1, 3, 30])):
                data[chance.randrange(min(len(data), chance.choice([600, 10**6])))] = chance.choice([0, 255, 128, 7])
    return bytes(data)


def test_hostile_files_raise_nothing_but_image_errors(tmp_path):
    chance = random.Random(20)
    files = seeds()
    outcomes = {"read": 0, "rejected": 0}
    for number in range(600):
        path = tmp_path / f"{number}.jpg"
        path.write_bytes(mutated(files[number % len(files)], chance))
        try:
            photo = load(path, max_pixels=10**6, max_size=chance.choice([None, 10]))
        except ImageError as error:
            assert path.name in error.message
            outcomes["rejected"] += 1
        else:
            assert photo.pixels.dtype == np.uint8
            assert photo.pixels.ndim == 3
            outcomes["read"] += 1
    assert min(outcomes.values()) > 100  # both ways were tried

"""Every kind of TIFF is read rightly, or refused by name."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from stylekit.errors import ImageError
from stylekit.images.reading import photo_from_image
from tests.image_material import load, make_tiff, rejected

HEIGHT, WIDTH = 40, 56
_ROWS, _COLUMNS = np.mgrid[0:HEIGHT, 0:WIDTH]
RED, GREEN = _COLUMNS / (WIDTH - 1), _ROWS / (HEIGHT - 1)
COLORS = np.stack([RED, GREEN, 1 - (_COLUMNS + _ROWS) / (HEIGHT + WIDTH - 2)], axis=-1)
GRAY, ALPHA = COLORS[..., :1], COLORS[..., 1:2]

WHITE_IS_0, BLACK_IS_0, RGB, PALETTE, MASK, CMYK, YCBCR, CIELAB, ICC_LAB = 0, 1, 2, 3, 4, 5, 6, 8, 9
SIGNED, FLOAT = 2, 3


def whole(values, bits):
    """Return values from 0 to 1 as integers."""
    return np.rint(values * (2**bits - 1)).astype(np.int64)


def ramp(bits, largest):
    return np.tile(np.rint(np.linspace(0, largest, 2**bits)).astype(int), 3).tolist()


def lightness(values):
    """Return CIELAB's lightness, from 0 to 1, as sRGB."""
    y = (100 * values + 16) / 116
    linear = np.where(y > 6 / 29, y**3, 3 * (6 / 29) ** 2 * (y - 4 / 29))
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def join(*channels):
    return np.concatenate(channels, axis=-1)


def kinds():
    """Yield name, values, the colors that are meant, and how the file is made."""
    for bits in (1, 2, 4, 6, 8, 10, 12, 14, 16, 24, 32):
        values = whole(GRAY, bits)
        shown = values / (2**bits - 1)
        yield f"gray {bits}", values, shown, {"bits": bits, "photometric": BLACK_IS_0}
        yield f"white-is-0 {bits}", 2**bits - 1 - values, shown, {"bits": bits, "photometric": WHITE_IS_0}
    for bits in (8, 16, 32):
        options: dict[str, Any] = {"bits": bits, "photometric": BLACK_IS_0, "format": SIGNED}
        yield f"signed {bits}", whole(GRAY, bits - 1), GRAY, options
        yield f"signed {bits} below 0", whole(GRAY, bits) - 2 ** (bits - 1), GRAY, options
        yield f"signed RGB {bits}", whole(COLORS, bits - 1), COLORS, {**options, "photometric": RGB}
    for bits in (16, 32, 64):
        options = {"bits": bits, "format": FLOAT}
        yield f"float {bits}", GRAY, GRAY, {**options, "photometric": BLACK_IS_0}
        yield f"float white-is-0 {bits}", 1 - GRAY, GRAY, {**options, "photometric": WHITE_IS_0}
        yield f"float RGB {bits}", COLORS, COLORS, {**options, "photometric": RGB}
    for bits in (4, 8, 10, 12, 14, 16, 24, 32):
        yield f"RGB {bits}", whole(COLORS, bits), COLORS, {"bits": bits, "photometric": RGB}
        for extra in (0, 1, 2):
            for name, photometric, colors in (("gray", BLACK_IS_0, GRAY), ("RGB", RGB, COLORS)):
                stored = join(colors * ALPHA if extra == 1 else colors, ALPHA)
                options = {"bits": bits, "photometric": photometric, "extra": (extra,)}
                yield f"{name} {bits} with extra {extra}", whole(stored, bits), colors, options
    for bits in (8, 16):
        inks = join(1 - COLORS, np.zeros_like(GRAY))
        yield f"CMYK {bits}", whole(inks, bits), COLORS, {"bits": bits, "photometric": CMYK}
        yield (
            f"five inks {bits}",
            whole(join(inks, ALPHA), bits),
            COLORS,
            {"bits": bits, "photometric": CMYK, "extra": (0,)},
        )
        yield (
            f"CMYKA {bits}",
            whole(join(inks, ALPHA), bits),
            COLORS,
            {"bits": bits, "photometric": CMYK, "extra": (2,)},
        )
        yield f"other inks {bits}", whole(inks, bits), None, {"bits": bits, "photometric": CMYK, "shorts": {332: [2]}}
        lab = join(whole(GRAY, bits), np.zeros((HEIGHT, WIDTH, 2), np.int64))
        yield f"CIELAB {bits}", lab, lightness(GRAY), {"bits": bits, "photometric": CIELAB}
        yield (
            f"ICC CIELAB {bits}",
            lab + np.array([0, 1, 1]) * 2 ** (bits - 1),
            lightness(GRAY),
            {"bits": bits, "photometric": ICC_LAB},
        )
    for bits in (1, 2, 4, 8, 16):
        index = whole(GRAY, bits)
        shown = index / (2**bits - 1)
        yield f"palette {bits}", index, shown, {"bits": bits, "photometric": PALETTE, "colors": ramp(bits, 65535)}
        yield f"old palette {bits}", index, shown, {"bits": bits, "photometric": PALETTE, "colors": ramp(bits, 255)}
    palette = {"bits": 8, "photometric": PALETTE, "colors": ramp(8, 65535)}
    yield "palette with alpha", join(whole(GRAY, 8), whole(ALPHA, 8)), GRAY, {**palette, "extra": (2,)}
    chroma = np.full((HEIGHT, WIDTH, 2), 128)
    yield "YCbCr", join(whole(GRAY, 8), chroma), GRAY, {"bits": 8, "photometric": YCBCR, "shorts": {530: [1, 1]}}
    yield "mask", whole(GRAY, 1), None, {"bits": 1, "photometric": MASK}
    yield "sensor", whole(GRAY, 16), None, {"bits": 16, "photometric": 32803}
    yield (
        "five channels",
        whole(join(COLORS, ALPHA, ALPHA), 8),
        COLORS,
        {"bits": 8, "photometric": RGB, "extra": (0, 0)},
    )
    yield "undeclared channel", whole(join(GRAY, ALPHA), 8), GRAY, {"bits": 8, "photometric": BLACK_IS_0}
    yield "without photometric", whole(GRAY, 8), None, {"bits": 8, "photometric": None}


ALL = {name: rest for name, *rest in kinds()}
READ = [
    *(f"{name} {bits}" for name in ("gray", "white-is-0", "palette", "old palette") for bits in (1, 4, 8)),
    *("gray 16", "float 32", "float white-is-0 32", "signed 16", "signed 32", "RGB 8", "RGB 16", "CMYK 8", "CMYK 16"),
    *("RGB 8 with extra 1", "RGB 8 with extra 2", "RGB 16 with extra 2", "YCbCr", "palette with alpha"),
    *(f"gray {bits} with extra {extra}" for bits in (8, 16) for extra in (1, 2)),
]


def outcomes(name, path, tiled):
    """Write a kind of TIFF in all orders and compressions, and yield what reading it gives."""
    values, _, options = ALL[name]
    for order in "<>":
        for planes in (False, True):
            for compressed in (False, True):
                path.write_bytes(
                    make_tiff(values, order=order, planes=planes, compressed=compressed, tiled=tiled, **options)
                )
                try:
                    yield load(path)
                except ImageError as error:
                    yield error


@pytest.mark.parametrize("tiled", [False, True])
@pytest.mark.parametrize("name", ALL)
def test_every_kind_is_read_rightly_or_refused_by_name(name, tiled, tmp_path):
    _, expected, options = ALL[name]
    for outcome in outcomes(name, tmp_path / "a.tif", tiled):
        if isinstance(outcome, ImageError):
            assert outcome.message.startswith("Cannot read a.tif: this kind of TIFF ("), outcome.message
            assert "another program" in outcome.hint
            continue
        assert expected is not None
        visible = np.ones((HEIGHT, WIDTH), bool) if outcome.alpha is None else outcome.alpha > 80
        assert np.abs(outcome.pixels - 255 * expected)[visible].max() <= max(4, 128 / (2 ** options["bits"] - 1))
        has_alpha = options.get("extra") in ((1,), (2,))
        assert (outcome.alpha is not None) == has_alpha
        if has_alpha:
            assert np.abs(outcome.alpha - 255 * ALPHA[..., 0]).max() <= 1


@pytest.mark.parametrize("tiled", [False, True])
@pytest.mark.parametrize("name", READ)
def test_usual_kinds_are_read_in_every_order(name, tiled, tmp_path):
    results = list(outcomes(name, tmp_path / "a.tif", tiled))
    refused = [result for result in results if isinstance(result, ImageError)]
    assert refused == []


@pytest.mark.parametrize("planes", [False, True])
@pytest.mark.parametrize("bits", [8, 16])
def test_gray_with_alpha_may_be_predicted_and_lie_on_its_side(bits, planes, tmp_path):
    values = whole(join(GRAY, ALPHA), bits)
    steps = np.diff(values, axis=1, prepend=0) % 2**bits
    options = {"bits": bits, "photometric": BLACK_IS_0, "extra": (2,), "planes": planes, "compressed": True}
    (tmp_path / "a.tif").write_bytes(make_tiff(steps, shorts={274: [6], 317: [2]}, **options))
    photo = load(tmp_path / "a.tif")
    assert np.abs(photo.alpha - 255 * np.rot90(ALPHA[..., 0], -1)).max() <= 1
    visible = photo.alpha > 80
    assert np.abs(photo.pixels - 255 * np.rot90(GRAY, -1))[visible].max() <= 1


@pytest.mark.parametrize("planes", [False, True])
@pytest.mark.parametrize("bits", [8, 16])
def test_gray_with_alpha_may_declare_its_bits_once(bits, planes, tmp_path):
    options = {"bits": bits, "photometric": BLACK_IS_0, "extra": (2,), "planes": planes}
    (tmp_path / "a.tif").write_bytes(make_tiff(whole(join(GRAY, ALPHA), bits), shorts={258: [bits]}, **options))
    photo = load(tmp_path / "a.tif")
    assert np.abs(photo.alpha - 255 * ALPHA[..., 0]).max() <= 1


def test_pillow_knows_no_other_kinds_afterwards(tmp_path):
    values, _, options = ALL["gray 16 with extra 2"]
    (tmp_path / "a.tif").write_bytes(make_tiff(values, **options))
    before = dict(TiffImagePlugin.OPEN_INFO)
    assert load(tmp_path / "a.tif").alpha is not None
    assert before == TiffImagePlugin.OPEN_INFO


@pytest.mark.parametrize(
    ("name", "planes", "kind"),
    [
        ("CIELAB 8", True, "8-bit CIELAB in separate planes"),
        ("gray 32 with extra 2", False, "32-bit gray with alpha"),
        ("white-is-0 12", False, "12-bit white-is-zero gray"),
        ("float RGB 32", False, "32-bit floating-point RGB"),
        ("ICC CIELAB 16", False, "16-bit CIELAB"),
        ("signed 8", False, "8-bit signed gray"),
        ("sensor", False, "16-bit raw sensor data"),
        ("without photometric", False, "8-bit pixels (photometric interpretation missing)"),
    ],
)
def test_a_refusal_says_what_kind_it_is(name, planes, kind, tmp_path):
    values, _, options = ALL[name]
    (tmp_path / "a.tif").write_bytes(make_tiff(values, planes=planes, **options))
    assert rejected(tmp_path / "a.tif") == f"Cannot read a.tif: this kind of TIFF ({kind}) is not supported."


def test_an_unknown_compression_is_named(tmp_path):
    (tmp_path / "a.tif").write_bytes(make_tiff(whole(COLORS, 8), bits=8, photometric=RGB, compression=34712))
    kind = "8-bit RGB with compression 34712"
    assert rejected(tmp_path / "a.tif") == f"Cannot read a.tif: this kind of TIFF ({kind}) is not supported."


@pytest.mark.parametrize("reversed_bits", [1, 4, 8])
def test_bits_in_reverse_order_are_read_or_refused(reversed_bits, tmp_path):
    values = whole(GRAY, reversed_bits)
    for photometric in (BLACK_IS_0, WHITE_IS_0):
        meant = values if photometric else 2**reversed_bits - 1 - values
        options = {"bits": reversed_bits, "photometric": photometric, "fill_order": 2}
        (tmp_path / "a.tif").write_bytes(make_tiff(values, **options))
        shown = 255 * meant / (2**reversed_bits - 1)
        assert np.abs(load(tmp_path / "a.tif").pixels - shown).max() <= 1


def test_subsampled_chroma_without_compression_is_read(tmp_path):
    luma = whole(GRAY, 8)[..., 0]
    units = luma.reshape(HEIGHT // 2, 2, WIDTH // 2, 2).transpose(0, 2, 1, 3).reshape(HEIGHT // 2, WIDTH // 2, 4)
    data = join(units, np.full((HEIGHT // 2, WIDTH // 2, 2), 128)).astype(np.uint8).tobytes()
    template = np.zeros((HEIGHT, WIDTH, 3), np.int64)
    (tmp_path / "a.tif").write_bytes(make_tiff(template, bits=8, photometric=YCBCR, shorts={530: [2, 2]}, data=data))
    assert np.abs(load(tmp_path / "a.tif").pixels - 255 * GRAY).max() <= 2


def test_a_dark_image_of_32_bits_is_brought_to_light(tmp_path):
    for largest, expected in ((2**32 - 1, 255), (2**31, 128), (65535, 255), (100_000, 255)):
        values = np.array([[[0], [largest]]])
        (tmp_path / "a.tif").write_bytes(make_tiff(values, bits=32, photometric=BLACK_IS_0))
        assert load(tmp_path / "a.tif").pixels[0, :, 0].tolist() == [0, expected]


def test_an_image_that_a_program_has_opened_is_read_rightly_too(tmp_path):
    (tmp_path / "a.tif").write_bytes(make_tiff(whole(COLORS, 16), bits=16, photometric=RGB, planes=True))
    with Image.open(tmp_path / "a.tif") as image:
        assert np.abs(photo_from_image(image).pixels - 255 * COLORS).max() <= 1
    values, _, options = ALL["signed 8"]
    (tmp_path / "b.tif").write_bytes(make_tiff(values, **options))
    with Image.open(tmp_path / "b.tif") as image, pytest.raises(ImageError, match="signed"):
        photo_from_image(image)


def test_errors_of_libtiff_are_not_printed(tmp_path, capfd):
    noise = np.random.default_rng(0).integers(0, 256, (100, 100, 3))
    (tmp_path / "a.tif").write_bytes(make_tiff(noise, bits=8, photometric=RGB, compressed=True))
    content = bytearray((tmp_path / "a.tif").read_bytes())
    content[1000:1400] = bytes(400)
    (tmp_path / "a.tif").write_bytes(content)
    assert "corrupt" in rejected(tmp_path / "a.tif")
    assert capfd.readouterr() == ("", "")
    with Image.open(tmp_path / "a.tif") as image, pytest.raises(OSError, match="decoder"):
        image.load()
    assert "ZIPDecode" in capfd.readouterr().err  # the program's own handler is back


def test_errors_that_pillow_logs_are_not_printed(tmp_path):
    samples = np.zeros((2, 2, 200), np.int64)
    (tmp_path / "a.tif").write_bytes(make_tiff(samples, bits=8, photometric=RGB))
    code = (
        "import sys, pathlib\nfrom stylekit.images.reading import load_photo\n"
        "try: load_photo(pathlib.Path(sys.argv[1]), max_pixels=100)\nexcept Exception as error: print(error)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "a.tif"], capture_output=True, text=True, check=True
    )
    assert "this kind of TIFF (8-bit RGB" in result.stdout
    assert result.stderr == ""

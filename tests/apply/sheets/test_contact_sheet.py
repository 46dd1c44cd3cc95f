"""Contact sheets: what is on them, and what they cost."""

import json
import os
import shutil

import numpy as np
import pytest
from PIL import Image

import stylekit
from stylekit.apply.repeats import read_painting
from stylekit.apply.run import apply_styles
from stylekit.apply.sheets import text, tiles
from stylekit.apply.sheets.contact_sheet import contact_sheet, select_styles
from stylekit.apply.sheets.drawing import BACKGROUND
from stylekit.apply.sheets.layout import Box
from stylekit.apply.sheets.tiles import open_subject
from stylekit.config.sheet import SheetConfig
from stylekit.errors import ConfigError, ImageError, StyleFileError, StyleNotFound
from stylekit.images.reading import as_photo
from stylekit.styles.locations import bundled_styles_dir, own_styles_dir, style_files
from stylekit.stylization.style import load_style


@pytest.fixture
def photo(tmp_path, make_photo):
    make_photo(96, 64).save(tmp_path / "lion.png")
    return tmp_path / "lion.png"


@pytest.fixture
def styles(style_path):
    """Three files of the tiny style."""
    return [str(shutil.copy(style_path, style_path.with_name(f"{name}.safetensors"))) for name in "abc"]


@pytest.fixture
def corrupt(style_path):
    path = style_path.with_name("corrupt.safetensors")
    data = bytearray(style_path.read_bytes())
    data[-8:] = b"\1" * 8
    path.write_bytes(data)
    return str(path)


def pixels_at(sheet, place):
    x, y, width, height = place
    return np.asarray(sheet.image.crop((x, y, x + width, y + height)), float)


def place_of(tile):
    return tile.x, tile.y, tile.width, tile.height


def test_a_tile_is_the_full_size_result_reduced(photo, styles):
    sheet = contact_sheet(photo, styles[:1], SheetConfig(size=48))
    result = load_style(styles[0])(photo).resize((48, 32), Image.Resampling.LANCZOS)
    (tile,) = sheet.tiles
    assert np.abs(pixels_at(sheet, place_of(tile)) - np.asarray(result, float)).max() <= 1
    shown = Image.open(photo).resize((48, 32), Image.Resampling.LANCZOS)
    assert np.abs(pixels_at(sheet, sheet.photo) - np.asarray(shown, float)).max() <= 1


def test_large_strokes_are_those_of_the_full_size_result(photo, styles):
    sheet = contact_sheet(photo, styles[:1], SheetConfig(size=96, stroke_sizes=(3.0,)))
    result = load_style(styles[0])(photo, stroke_size=3.0)
    assert np.abs(pixels_at(sheet, place_of(sheet.tiles[0])) - np.asarray(result, float)).mean() <= 1


def test_a_grid_has_a_row_for_each_stroke_size_and_a_column_for_each_strength(photo, styles):
    config = SheetConfig(size=48, strengths=(0.0, 0.5, 1.0), stroke_sizes=(1.0, 2.0))
    sheet = contact_sheet(photo, styles[:2], config)
    assert (sheet.columns, sheet.rows) == (3, 4)
    options = [(tile.style, tile.stroke_size, tile.strength) for tile in sheet.tiles]
    assert options == [(style, size, share) for style in styles[:2] for size in (1, 2) for share in (0, 0.5, 1)]
    faint, half, full = (pixels_at(sheet, place_of(tile)) for tile in sheet.tiles[3:6])
    assert np.array_equal(faint, pixels_at(sheet, sheet.photo))
    assert np.abs(half - (faint + full) / 2).max() <= 1
    assert {tile.y for tile in sheet.tiles[3:6]} == {sheet.tiles[3].y}
    assert [tile.x for tile in sheet.tiles[3:6]] == [tile.x for tile in sheet.tiles[:3]]


def test_the_photos_colors_are_kept(photo, styles):
    sheet = contact_sheet(photo, styles[:1], SheetConfig(size=48, keep_colors=True))
    after, before = pixels_at(sheet, place_of(sheet.tiles[0])), pixels_at(sheet, sheet.photo)
    inside = ((after > 0) & (after < 255)).all(-1)
    chroma = np.diff(after, axis=-1) - np.diff(before, axis=-1)
    assert inside.any()
    assert np.abs(chroma[inside]).max() <= 1


@pytest.mark.parametrize(
    ("size", "stroke_size", "styles", "painted"),
    [
        ((1200, 800), None, 1, (1200, 800)),  # as it is
        ((1200, 800), None, 12, (1000, 667)),  # a twelfth of eight megapixels
        ((1200, 800), 2.0, 12, (600, 400)),
        ((4000, 3000), 2.0, 1, (2000, 1500)),
        ((4000, 3000), None, 1, (1333, 1000)),  # as `apply` paints it
        ((4000, 3000), 1.0, 1, (3266, 2449)),  # eight megapixels
        ((1200, 800), None, 400, (775, 516)),  # the least, 0.4 megapixels
        ((1, 1), None, 1, (1, 1)),
    ],
)
def test_a_photo_is_painted_at_the_size_of_apply_or_at_its_share_of_the_time(size, stroke_size, styles, painted):
    photo = np.zeros((size[1], size[0], 3), np.uint8)
    subject = open_subject(photo, SheetConfig(stroke_sizes=(stroke_size,)), styles)
    assert subject.painted == (painted,)
    assert subject.size == size


def test_a_photo_is_read_once_and_never_kept_at_a_hundred_megapixels(tmp_path, styles, monkeypatch):
    Image.new("L", (12_500, 8000), 90).save(tmp_path / "huge.jpg")
    read = []

    def counted(*args, **kwargs):
        read.append(as_photo(*args, **kwargs))
        return read[-1]

    monkeypatch.setattr(tiles, "as_photo", counted)
    sheet = contact_sheet(tmp_path / "huge.jpg", styles, SheetConfig(size=64, stroke_sizes=(100.0,)))
    assert len(sheet.tiles) == 3
    assert [max(photo.pixels.shape) for photo in read] == [192]


def test_a_photo_is_turned_upright(tmp_path, make_photo, styles):
    exif = Image.Exif()
    exif[0x0112] = 6
    make_photo(96, 64).save(tmp_path / "turned.jpg", exif=exif)
    sheet = contact_sheet(tmp_path / "turned.jpg", styles[:1], SheetConfig(size=48))
    assert sheet.photo[2:] == (32, 48)


def test_a_corrupt_style_leaves_an_empty_tile(photo, styles, corrupt):
    seen = []
    sheet = contact_sheet(
        photo, [styles[0], corrupt, styles[1]], SheetConfig(size=64), on_style=lambda *about: seen.append(about)
    )
    assert [bool(tile.reason) for tile in sheet.tiles] == [False, True, False]
    assert [tile.style for tile in sheet.failures] == [corrupt]
    assert "checksum mismatch" in sheet.failures[0].reason
    assert [(style, error is None) for style, error in seen] == [(styles[0], True), (corrupt, False), (styles[1], True)]
    assert len(np.unique(pixels_at(sheet, place_of(sheet.tiles[1]))[0], axis=0)) == 1  # plain
    with pytest.raises(StyleFileError, match="checksum mismatch"):
        contact_sheet(photo, corrupt, SheetConfig(size=64))


def test_styles_that_do_not_exist_are_an_error(photo, styles):
    with pytest.raises(StyleNotFound, match="Unknown style 'undie'"):
        contact_sheet(photo, [styles[0], "undie"])


def test_transparent_parts_show_the_sheet(styles, make_photo):
    photo = make_photo(96, 64)
    photo.putalpha(Image.new("L", photo.size, 255))
    photo.paste((0, 0, 0, 0), (0, 0, 48, 64))
    sheet = contact_sheet(photo, styles[0], SheetConfig(size=96))
    for place in (sheet.photo, place_of(sheet.tiles[0])):
        pixels = pixels_at(sheet, place)
        assert (pixels[:, :46] == BACKGROUND).all()
        assert (pixels[:, 50:] != BACKGROUND).any()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no named pipes")
def test_a_pipe_is_an_error_and_does_not_wait_for_a_writer(tmp_path, styles):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ImageError, match="pipe is a device, not an image"):
        contact_sheet(tmp_path / "pipe", styles)


@pytest.mark.parametrize("size", [(1, 1), (300, 2), (2, 300)])
def test_tiny_and_narrow_photos_have_sheets(size, styles):
    sheet = contact_sheet(Image.new("RGB", size, "red"), styles, SheetConfig(size=64))
    assert {(tile.width, tile.height) for tile in sheet.tiles} == {sheet.photo[2:]}


def test_forty_styles_fit_on_a_sheet(photo, style_path):
    files = [shutil.copy(style_path, style_path.with_name(f"{number}.safetensors")) for number in range(40)]
    sheet = contact_sheet(photo, files, SheetConfig(size=32))
    assert len({(tile.x, tile.y) for tile in sheet.tiles}) == 40
    assert 0.5 < sheet.image.width / sheet.image.height < 3


def test_apply_does_not_paint_sheets(photo, styles, tmp_path):
    folder = tmp_path / "photos"
    sheet = contact_sheet(photo, styles, SheetConfig(size=48))
    for suffix in ("jpg", "png", "webp", "tif"):
        sheet.save(folder / f"sheet.{suffix}")
        recipe = read_painting(folder / f"sheet.{suffix}")
        assert recipe is not None
        assert [part["name"] for part in recipe["styles"]] == ["a", "b", "c"]
    shutil.copy(photo, folder)
    report = apply_styles(folder, tmp_path / "painted", styles[0])
    assert {file.source.name: file.status for file in report.files} == {
        "lion.png": "done",
        **{f"sheet.{suffix}": "skipped" for suffix in ("jpg", "png", "webp", "tif")},
    }


def test_groups_stand_for_the_styles_on_this_machine(style_path, corrupt):
    bundled = sorted(path.stem for path in style_files(bundled_styles_dir()))
    with pytest.raises(ConfigError, match="no styles of your own"):
        select_styles(["own"])
    own_styles_dir().mkdir(parents=True)
    shutil.copy(style_path, own_styles_dir() / "mine.safetensors")
    shutil.copy(corrupt, own_styles_dir() / "corrupt.safetensors")
    assert select_styles(["own"]) == ["corrupt", "mine"]
    assert select_styles(["bundled"]) == bundled
    assert select_styles(["all"]) == sorted([*bundled, "corrupt", "mine"])
    assert select_styles(["mine", "all"])[0] == "mine"
    shutil.copy(style_path, own_styles_dir() / "own.safetensors")
    assert select_styles(["own"]) == ["own"]  # a style of that name


def test_stroke_sizes_that_tiles_cannot_tell_apart_are_noted(styles):
    photo = np.zeros((3000, 4000, 3), np.uint8)
    sheet = contact_sheet(photo, styles[0], SheetConfig(size=32, stroke_sizes=(0.1, 0.2, 40.0)))
    assert sheet.notes == ("stroke size 0.1 and stroke size 0.2 look alike in tiles of 32 px",)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"strengths": ()}, "--strength needs a number"),
        ({"strengths": (0.5, 2.0)}, "--strength must be between 0 and 1, not 2"),
        ({"stroke_sizes": (0.0,)}, "--stroke-size must be auto or between 0.1 and 100, not 0"),
        ({"size": 5000}, "--size must be between 32 and 4096"),
        ({"columns": 0}, "--columns must be 1 or more"),
        ({"strengths": (0.5, 1.0), "columns": 2}, "--columns needs a single strength"),
        ({"columns": 1, "size": 4096}, "The sheet would have"),
    ],
)
def test_wrong_settings_are_one_clear_error(settings, message, styles):
    with pytest.raises(ConfigError, match=message):
        contact_sheet(np.zeros((4100, 4100, 3), np.uint8), [*styles, "bundled"], SheetConfig(**settings))


def test_sheets_are_labelled_without_freetype(photo, styles, monkeypatch):
    monkeypatch.setattr("PIL.features.check", lambda feature: False)
    monkeypatch.setattr(text, "_system_font", lambda name, size: None)
    text._own_font.cache_clear()
    try:
        sheet = contact_sheet(photo, styles, SheetConfig(size=64))
    finally:
        text._own_font.cache_clear()
    tile = sheet.tiles[0]
    caption = pixels_at(sheet, (tile.x, tile.y + tile.height + 8, 60, 20))
    assert caption.min() < 100  # ink


def test_the_recipe_names_settings(photo, styles):
    sheet = stylekit.contact_sheet(photo, styles[0], stylekit.SheetConfig(size=48, strengths=(0.5, 1.0)))
    assert json.loads(sheet.recipe)["options"]["strength"] == [0.5, 1.0]
    assert Box(*sheet.photo).width == 48

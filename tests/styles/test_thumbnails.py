"""Thumbnails of the bundled styles' paintings."""

import shutil

from PIL import Image

from stylekit.styles.locations import bundled_styles_dir, style_files
from stylekit.styles.thumbnails import find_thumbnail


def test_bundled_styles_have_small_thumbnails_and_others_none(style_path):
    for style in style_files(bundled_styles_dir()):
        thumbnail = find_thumbnail(style)
        assert thumbnail is not None, style
        assert thumbnail.stat().st_size < 10_000
        with Image.open(thumbnail) as image:
            assert (image.format, max(image.size)) == ("JPEG", 128)
    own = style_path.with_name("udnie.safetensors")
    shutil.copy(style_path, own)
    assert find_thumbnail(own) is None

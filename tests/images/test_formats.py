"""Image formats and their suffixes."""

import subprocess
import sys
from pathlib import Path

import pytest

from stylekit.errors import ConfigError
from stylekit.images.formats import FORMATS, READABLE_SUFFIXES, format_of_suffix, output_format, output_suffix


@pytest.mark.parametrize(
    ("name", "format", "suffix"),
    [
        ("a.jpg", "jpeg", ".jpg"),
        ("a.JPEG", "jpeg", ".jpeg"),
        ("a.jfif", "jpeg", ".jfif"),
        ("a.tif", "tiff", ".tif"),
        ("a.TIFF", "tiff", ".tiff"),
        ("a.webp", "webp", ".webp"),
        ("a.avif", "avif", ".avif"),
        ("a.gif", "png", ".png"),
        ("a.HEIC", "jpeg", ".jpg"),
        ("a.heif", "jpeg", ".jpg"),
        ("a", "jpeg", ".jpg"),
    ],
)
def test_a_result_has_the_format_and_suffix_of_its_input_if_possible(name, format, suffix):
    assert output_format(Path(name)) == format
    assert output_suffix(Path(name), None) == suffix


def test_the_suffix_follows_another_format():
    assert output_suffix(Path("a.JPEG"), "png") == ".png"
    assert output_suffix(Path("a.gif"), "tiff") == ".tif"
    assert output_suffix(Path("a.HEIC"), "heic") == ".heic"


def test_a_suffix_stands_for_a_writable_format_or_an_error_that_lists_them():
    assert {format_of_suffix(suffix) for suffix in READABLE_SUFFIXES - {".gif"}} == set(FORMATS)
    assert format_of_suffix(".JPG") == "jpeg"
    with pytest.raises(ConfigError, match=r"'\.gif'") as caught:
        format_of_suffix(".gif")
    assert ".png" in caught.value.hint


def test_importing_the_module_is_light():
    heavy = ["torch", "PIL.ImageCms", "PIL.TiffImagePlugin", "pillow_heif"]
    code = f"import sys, stylekit.images.photo; print([name for name in {heavy} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"

"""The styles that ship with the package: complete, small, and available without a network."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import stylekit
from stylekit.styles.locations import bundled_styles_dir
from stylekit.styles.style_file import load_style_file
from tests.image_material import read_image

STYLES = sorted(bundled_styles_dir().glob("*.safetensors"))
HARBOUR = Path(__file__).parents[2] / "docs" / "images" / "harbour.jpg"


def test_all_twelve_ship():
    assert [path.stem for path in STYLES] == [
        "bridge",
        "composition-vii",
        "contrast-of-forms",
        "great-wave",
        "red-chalk",
        "self-portrait",
        "shipwreck",
        "starry-night",
        "tableau",
        "the-scream",
        "udnie",
        "wheat-field",
    ]


def test_the_gallery_and_the_documents_links_are_complete():
    root = HARBOUR.parents[2]
    for page in [root / "README.md", *(root / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)", page.read_text("utf-8")):
            assert "://" in target or (page.parent / target).exists(), f"{page.name} links to {target}"
    gallery = (root / "docs" / "gallery.md").read_text("utf-8")
    assert [path.stem for path in STYLES if f"{path.stem}.jpg" not in gallery] == []


@pytest.mark.parametrize("path", STYLES, ids=lambda path: path.stem)
def test_a_bundled_style_says_whose_it_is_and_how_it_was_made(path):
    metadata = load_style_file(path).metadata
    assert metadata.name == path.stem
    assert all([metadata.title, metadata.artist, metadata.year, metadata.licence, metadata.source])
    recipe = metadata.trained_with
    assert {"steps", "style_weight", "seed", "painting", "loss_weights", "losses", "stylekit"} <= recipe.keys()
    assert "/" not in recipe["painting"]["file"] + recipe["loss_weights"]["file"]


@pytest.mark.parametrize("path", STYLES, ids=lambda path: path.stem)
def test_a_bundled_style_is_small_and_readable(path):
    assert path.stat().st_size <= 2_000_000
    assert path.stat().st_mode & 0o444 == 0o444  # whoever installs it for others, they can read it
    assert load_style_file(path).weights


@pytest.mark.parametrize("path", STYLES, ids=lambda path: path.stem)
def test_a_bundled_style_paints(path):
    photo = Image.open(HARBOUR).resize((300, 200))
    picture = stylekit.load_style(path.stem, device="cpu")(photo)
    assert picture.size == photo.size
    assert 20 < np.abs(np.asarray(picture, int) - np.asarray(photo, int)).mean() < 150


def test_the_readmes_first_command_paints_offline(tmp_path):
    code = """
import socket, sys
from stylekit.cli.app import run

def refuse(*arguments):
    raise AssertionError("the network was tried")

socket.socket.connect = socket.getaddrinfo = refuse
sys.exit(run(sys.argv[1:]))
"""
    command = ["apply", str(HARBOUR), "--style", "starry-night", "--output", str(tmp_path / "painted.jpg")]
    subprocess.run([sys.executable, "-c", code, *command], check=True, capture_output=True)
    assert read_image(tmp_path / "painted.jpg").size == read_image(HARBOUR).size

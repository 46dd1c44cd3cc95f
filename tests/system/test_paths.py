"""The folders of cache and data."""

import sys
from pathlib import Path

import pytest

from stylekit.losses.weights import loss_weights_path
from stylekit.styles import locations
from stylekit.system import paths

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="the folders are those of Linux")

FOLDERS = {
    paths.cache_dir: "cache",
    paths.data_dir: "data",
    locations.own_styles_dir: "data/styles",
    locations.downloaded_styles_dir: "cache/styles",
    loss_weights_path: "cache/weights/vgg19.safetensors",
}


def by_name(function):
    return function.__name__ if callable(function) else None


@pytest.mark.parametrize(("function", "place"), FOLDERS.items(), ids=by_name)
def test_stylekit_home_holds_everything_and_nothing_is_created_in_it(tmp_path, monkeypatch, function, place):
    monkeypatch.setenv("STYLEKIT_HOME", str(tmp_path / "home"))
    assert function() == tmp_path / "home" / place
    assert not (tmp_path / "home").exists()


def test_stylekit_home_may_start_with_a_tilde(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("STYLEKIT_HOME", "~/styles")
    assert paths.cache_dir() == tmp_path / "styles" / "cache"


@linux_only
@pytest.mark.parametrize("home", [None, ""], ids=["unset", "empty"])
@pytest.mark.parametrize(("function", "place"), FOLDERS.items(), ids=by_name)
def test_without_stylekit_home_the_folders_are_the_platforms(tmp_path, monkeypatch, home, function, place):
    monkeypatch.delenv("STYLEKIT_HOME") if home is None else monkeypatch.setenv("STYLEKIT_HOME", home)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg" / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg" / "data"))
    kind, _, rest = place.partition("/")
    assert function() == tmp_path / "xdg" / kind / "stylekit" / rest
    assert not (tmp_path / "xdg").exists()


def test_bundled_styles_are_in_the_package():
    assert locations.bundled_styles_dir() == Path(locations.__file__).parent / "bundled"

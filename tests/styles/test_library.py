"""From names to style files: where a name is looked up, what the list shows, and how styles are imported."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from stylekit.errors import ConfigError, StyleFileError, StyleNotFound
from stylekit.networks import architecture
from stylekit.styles.catalog import list_styles
from stylekit.styles.library import (
    check_free,
    export_style,
    import_style,
    load_style_file_by_name,
    save_own_style,
    style_info,
)
from stylekit.styles.locations import downloaded_styles_dir, find_style, is_bundled, own_styles_dir, style_names
from stylekit.styles.names import is_path, style_label
from stylekit.styles.style_file import StyleFile, load_style_file, read_metadata, save_style_file


@pytest.fixture(autouse=True)
def bundled(tmp_path, monkeypatch):
    """A folder in place of that of the bundled styles."""
    folder = tmp_path / "bundled"
    monkeypatch.setattr("stylekit.styles.locations._BUNDLED", folder)
    catalog = tmp_path / "catalog.json"
    catalog.write_text('{"format": "stylekit-catalog-1", "styles": []}')
    monkeypatch.setattr("stylekit.styles.catalog._BUILT_IN", catalog)
    return folder


@pytest.fixture
def place(small_style, bundled):
    """Save a style in one of the folders, its title saying which; return its file."""
    folders = {"own": own_styles_dir(), "bundled": bundled, "cached": downloaded_styles_dir()}

    def put(where, stem, name="small"):
        path = folders[where] / f"{stem}.safetensors"
        save_style_file(
            StyleFile(dataclasses.replace(small_style.metadata, name=name, title=where), small_style.weights), path
        )
        return path

    return put


@pytest.fixture
def johnson_pth(tmp_path):
    """Weights as another program publishes them."""
    path = tmp_path / "published.pth"
    torch.save({name: torch.zeros(shape) for name, shape in architecture("johnson").parameter_shapes({}).items()}, path)
    return path


@pytest.mark.parametrize(
    ("style", "expected"),
    [
        *((name, False) for name in ["candy", "starry-night", "wave_2", "v1.5", "candy.jpg", "candy.onnx.zip", ""]),
        *((path, True) for path in ["./candy", "styles/candy", "/candy", "..\\candy", "candy/", "C:\\styles\\candy"]),
        *((path, True) for path in ["candy.safetensors", "candy.pth", "candy.pt", "CANDY.PTH", "a.b.safetensors"]),
        *((path, True) for path in ["candy.pth.tar", "candy.ckpt", "candy.model"]),
    ],
)
def test_a_path_has_a_separator_or_a_weights_suffix(style, expected):
    assert is_path(style) is expected


@pytest.mark.parametrize(
    ("style", "label"),
    [
        ("candy", "candy"),
        ("v1.5", "v1.5"),
        ("./a/wave.safetensors", "wave"),
        ("wave.v2.pth", "wave.v2"),
        ("a/b.pth.tar", "b"),
    ],
)
def test_a_style_is_labelled_by_its_name_or_its_files_stem(style, label):
    assert style_label(style) == label


@pytest.mark.parametrize(
    ("folders", "winner"),
    [
        (["own", "bundled", "cached"], "own"),
        (["bundled", "cached"], "bundled"),
        (["cached"], "cached"),
        (["own", "cached"], "own"),
    ],
    ids=str,
)
def test_a_name_is_looked_up_among_own_then_bundled_then_cached_styles(place, folders, winner):
    paths = {where: place(where, "candy") for where in folders}
    assert find_style("candy") == paths[winner]
    assert load_style_file_by_name("candy").metadata.title == winner
    assert [(entry.name, entry.where) for entry in list_styles()] == [("candy", winner)]


def test_a_name_is_never_a_file_in_the_working_folder(place, tmp_path, monkeypatch):
    (tmp_path / "candy").write_text("a file of that name")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StyleNotFound, match="Unknown style 'candy'"):
        load_style_file_by_name("candy")
    place("own", "candy")
    assert load_style_file_by_name("candy").metadata.title == "own"


def test_a_path_is_loaded_from_where_it_points(place, style_path, monkeypatch):
    place("own", "small")
    monkeypatch.chdir(style_path.parent)
    assert load_style_file_by_name(str(style_path)).metadata.title == ""
    assert load_style_file_by_name("small.safetensors").metadata.title == ""


@pytest.mark.parametrize(("stem", "name"), [("published", "published"), ("My Style (1)", "imported")])
def test_weights_of_other_programs_are_loaded_without_being_imported(johnson_pth, stem, name):
    style = load_style_file_by_name(str(johnson_pth.rename(johnson_pth.with_stem(stem))))
    assert (style.metadata.name, style.metadata.network) == (name, "johnson")
    assert list_styles() == []


@pytest.mark.parametrize("path", ["./absent.safetensors", "absent.pth", "./folder"])
def test_a_path_to_no_file_is_not_found(tmp_path, monkeypatch, path):
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StyleNotFound, match=Path(path).name):
        load_style_file_by_name(path)


@pytest.mark.parametrize("typo", ["stary-night", "starry_night", "Starry-Night", "starrynight"])
def test_an_unknown_name_gets_the_nearest_as_a_hint(place, typo):
    for where, name in [("own", "candy"), ("bundled", "starry-night"), ("cached", "udnie")]:
        place(where, name)
    with pytest.raises(StyleNotFound, match=f"'{typo}'") as caught:
        load_style_file_by_name(typo)
    assert caught.value.hint == "Did you mean starry-night?"


def test_an_unknown_name_like_two_others_gets_both_as_a_hint(place):
    for name in ["wave-1", "wave-2", "mosaic"]:
        place("own", name)
    with pytest.raises(StyleNotFound) as caught:
        load_style_file_by_name("wave-3")
    assert set(caught.value.hint.removeprefix("Did you mean ").removesuffix("?").split(" or ")) == {"wave-1", "wave-2"}


def test_an_unknown_name_unlike_any_other_is_sent_to_the_list(place):
    place("own", "candy")
    with pytest.raises(StyleNotFound) as caught:
        load_style_file_by_name("zzz")
    assert "stylekit styles list" in caught.value.hint


def test_without_any_style_the_list_is_empty_and_no_folder_is_made(bundled):
    assert list_styles() == []
    assert style_names() == []
    assert find_style("candy") is None
    assert not any(folder.exists() for folder in (own_styles_dir(), downloaded_styles_dir(), bundled))


def test_the_list_is_sorted_by_name_and_says_where_and_how_large_styles_are(place):
    paths = [place("cached", "b"), place("own", "c"), place("bundled", "a"), place("bundled", "c")]
    entries = list_styles()
    assert [(entry.name, entry.where) for entry in entries] == [("a", "bundled"), ("b", "cached"), ("c", "own")]
    assert [entry.path for entry in entries] == [paths[2], paths[0], paths[1]]
    assert [entry.size for entry in entries] == [paths[number].stat().st_size for number in (2, 0, 1)]
    assert entries[0].credits.title == "bundled"
    assert style_names() == ["a", "b", "c"]


def test_a_files_name_takes_precedence_over_its_metadata(place):
    place("own", "candy", name="mosaic")
    assert [entry.name for entry in list_styles()] == ["candy"]
    assert load_style_file_by_name("candy").metadata.title == "own"
    with pytest.raises(StyleNotFound):
        load_style_file_by_name("mosaic")


def test_an_unreadable_file_is_listed_with_its_problem(place):
    place("own", "good")
    path = place("own", "broken")
    path.write_bytes(b"not a style")
    broken, good = list_styles()
    assert (broken.name, broken.size, broken.path) == ("broken", 11, path)
    assert "corrupt" in broken.problem
    assert (good.name, good.problem) == ("good", "")


def test_a_broken_link_does_not_break_the_list(place, tmp_path):
    good = place("own", "good")
    good.with_name("gone.safetensors").symlink_to(tmp_path / "moved away.safetensors")
    assert "good" in [entry.name for entry in list_styles()]


def test_hidden_temporary_files_are_not_styles(place):
    path = place("own", "good")
    for name in [
        ".good.1234-89abcdef-abcdef01.stylekit-part.safetensors",
        "._good.safetensors",
        ".safetensors",
        "good.safetensors.part",
    ]:
        path.with_name(name).write_bytes(path.read_bytes())
    assert style_names() == ["good"]
    assert [entry.name for entry in list_styles()] == ["good"]


@pytest.mark.parametrize("name", ["Candy", "my style", "../candy", "-candy", ""])
def test_an_invalid_name_is_refused(small_style, johnson_pth, name):
    with pytest.raises(ConfigError, match="Invalid style name"):
        check_free(name)
    with pytest.raises(ConfigError, match="Invalid style name"):
        import_style(johnson_pth, name, force=True)
    with pytest.raises(StyleFileError, match="Invalid style name"):
        save_own_style(StyleFile(dataclasses.replace(small_style.metadata, name=name), small_style.weights))
    assert style_names() == []


def test_a_name_is_checked_before_the_source_is_looked_at(tmp_path):
    with pytest.raises(ConfigError):
        import_style(tmp_path / "absent.pth", "Bad Name")


def test_a_bundled_style_is_hidden_by_force_only(place, johnson_pth):
    place("bundled", "small")
    assert is_bundled("small")
    with pytest.raises(ConfigError, match="small is a bundled style"):
        check_free("small")
    with pytest.raises(ConfigError, match="small is a bundled style"):
        import_style(johnson_pth, "small")
    assert not own_styles_dir().exists()
    import_style(johnson_pth, "small", force=True)
    assert (own_styles_dir() / "small.safetensors").is_file()


def test_an_own_style_is_saved_under_its_name_and_replaces_the_old_one(small_style):
    path = save_own_style(small_style)
    assert path == own_styles_dir() / "small.safetensors"
    save_own_style(StyleFile(dataclasses.replace(small_style.metadata, title="new"), small_style.weights))
    assert load_style_file_by_name("small").metadata.title == "new"
    assert list(own_styles_dir().iterdir()) == [path]


def test_imported_weights_are_an_own_style_under_the_given_name(johnson_pth):
    path = import_style(johnson_pth, "candy")
    assert path == own_styles_dir() / "candy.safetensors"
    metadata = load_style_file_by_name("candy").metadata
    assert (metadata.name, metadata.network, metadata.source) == ("candy", "johnson", "published.pth")


def test_an_imported_style_file_keeps_all_but_its_name(place, small_style, tmp_path):
    source = place("bundled", "small").rename(tmp_path / "other.safetensors")
    style = load_style_file(import_style(source, "mine"))
    assert style.metadata == dataclasses.replace(small_style.metadata, name="mine", title="bundled")
    for name, array in small_style.weights.items():
        np.testing.assert_array_equal(style.weights[name], array, strict=True)


def test_a_style_is_replaced_by_force_only(place, johnson_pth):
    path = place("own", "candy")
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="You already have a style named candy"):
        import_style(johnson_pth, "candy")
    assert path.read_bytes() == before
    import_style(johnson_pth, "candy", force=True)
    assert read_metadata(path).network == "johnson"


def test_a_failed_import_leaves_the_old_style_alone(place, tmp_path):
    path, source = place("own", "candy"), tmp_path / "broken.pth"
    before = path.read_bytes()
    source.write_bytes(b"broken")
    with pytest.raises(StyleFileError):
        import_style(source, "candy", force=True)
    assert path.read_bytes() == before
    assert list(own_styles_dir().iterdir()) == [path]


def test_a_file_of_unknown_suffix_is_not_imported(tmp_path):
    (tmp_path / "candy.h5").write_bytes(b"")
    with pytest.raises(StyleFileError, match=r"candy\.h5 does not have a supported suffix") as caught:
        import_style(tmp_path / "candy.h5", "candy")
    assert ".pth" in caught.value.hint


@pytest.mark.parametrize("name", ["absent.pth", "absent.safetensors"])
def test_a_missing_file_is_not_imported(tmp_path, name):
    with pytest.raises(StyleNotFound, match=name):
        import_style(tmp_path / name, "candy")
    assert not own_styles_dir().exists()


def hint_of(source):
    with pytest.raises((StyleNotFound, StyleFileError)) as caught:
        import_style(source, "mine")
    return caught.value.hint


def test_a_missing_file_like_another_gets_it_as_a_hint(johnson_pth):
    assert hint_of(johnson_pth.with_name("publishd.pth")) == f"Did you mean {johnson_pth}?"


@pytest.mark.parametrize("source", ["candy", "candy.onnx", "folder/candy.pth"])
def test_a_missing_file_named_as_a_style_gets_the_command_that_was_meant(place, source, monkeypatch, tmp_path):
    catalog = tmp_path / "other.json"
    entry = {"name": "candy", "url": "https://example.org/a.onnx", "sha256": "0" * 64, "size": 1}
    catalog.write_text(json.dumps({"format": "stylekit-catalog-1", "styles": [entry]}))
    monkeypatch.setenv("STYLEKIT_CATALOG", str(catalog))
    assert hint_of(source) == "To download the style candy: `stylekit styles pull candy`."
    place("own", "candy")
    assert hint_of(source) == "candy is already a style: `stylekit apply PHOTO --style candy`."


def test_other_sources_that_are_not_weights_say_what_was_meant(tmp_path, make_photo):
    make_photo().save(tmp_path / "wave.jpg")
    assert "stylekit train" in hint_of(tmp_path / "wave.jpg")
    assert "styles pull https://example.org/a.onnx" in hint_of("https://example.org/a.onnx")
    assert "styles pull hf://user/repo/a.onnx" in hint_of(Path("hf://user/repo/a.onnx"))
    assert "weights file inside it" in hint_of(tmp_path)
    assert hint_of(tmp_path / "nothing.pth") == "Check the path."


@pytest.mark.parametrize("where", ["own", "cached"])
def test_a_folder_without_permission_is_reported(place, without_permission, where):
    place("bundled", "wave")
    folder = place(where, "candy").parent
    without_permission(folder)
    for function in (style_names, list_styles, lambda: load_style_file_by_name("candy")):
        with pytest.raises(StyleFileError, match=f"Cannot read {folder}.*Permission denied") as caught:
            function()
        assert "STYLEKIT_HOME" in caught.value.hint


def test_a_style_is_described_and_exported_by_a_path_of_any_kind(place, tmp_path):
    path = place("own", "candy")
    for target in (tmp_path / "a.onnx", str(tmp_path / "b.onnx")):
        export_style("candy", target)
        assert import_style(target, "again", force=True).is_file()
    described = style_info(str(path))
    assert (described["name"], described["where"], described["size"]) == ("candy", "own", path.stat().st_size)

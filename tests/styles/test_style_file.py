"""Style files: what is saved is loaded, and corrupt files are refused."""

import dataclasses
import itertools
import json
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch

from stylekit.errors import ConfigError, StyleFileError
from stylekit.styles.style_file import (
    FORMAT,
    StyleFile,
    check_weights,
    load_style_file,
    read_metadata,
    save_style_file,
)


class Bomb:
    """Unpickled, it creates a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.fixture
def rewrite(style_path):
    """Write the small style's file again with other arrays or metadata; None removes an entry."""

    def write(arrays=None, *, save=safetensors.numpy.save_file, load=safetensors.numpy.load_file, **metadata):
        with safetensors.safe_open(style_path, framework="numpy") as file:
            strings = {**file.metadata(), **metadata}
        weights = {**load(style_path), **(arrays or {})}
        save(
            {name: array for name, array in weights.items() if array is not None},
            style_path,
            metadata={key: value for key, value in strings.items() if value is not None},
        )
        return style_path

    return write


def test_a_style_comes_back_as_it_was_saved(small_style, tmp_path):
    metadata = dataclasses.replace(
        small_style.metadata,
        name="great-wave_2",
        title="神奈川沖浪裏",
        artist="Katsushika Hokusai",
        year="1831",
        licence="CC0-1.0",
        source='a "quoted"\nsource',
        trained_with={"steps": 1000, "losses": {"style": 0.016}, "layers": ["relu1_1"], "init_from": None},
    )
    path = tmp_path / "new" / "folder" / "any name.safetensors"
    save_style_file(StyleFile(metadata, small_style.weights), path)
    loaded = load_style_file(path)
    assert loaded.metadata == metadata
    assert read_metadata(path) == metadata
    assert loaded.weights.keys() == small_style.weights.keys()
    for name, array in small_style.weights.items():
        np.testing.assert_array_equal(loaded.weights[name], array, strict=True)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_weights_keep_their_type(small_style, tmp_path, dtype):
    weights = {name: array.astype(dtype) for name, array in small_style.weights.items()}
    save_style_file(StyleFile(small_style.metadata, weights), tmp_path / "a.safetensors")
    assert {array.dtype for array in load_style_file(tmp_path / "a.safetensors").weights.values()} == {np.dtype(dtype)}


def test_weights_in_another_memory_order_are_saved_in_order(small_style, tmp_path):
    scattered = {name: array.T.copy().T for name, array in small_style.weights.items()}
    assert not scattered["out.weight"].flags.c_contiguous
    save_style_file(StyleFile(small_style.metadata, scattered), tmp_path / "a.safetensors")
    weights = load_style_file(tmp_path / "a.safetensors").weights
    np.testing.assert_array_equal(weights["out.weight"], small_style.weights["out.weight"])


def test_a_style_file_says_its_format_and_is_a_string_map(style_path):
    with safetensors.safe_open(style_path, framework="numpy") as file:
        strings = file.metadata()
    assert strings["format"] == FORMAT == "stylekit-style-1"
    assert strings["network"] == "fast"
    assert json.loads(strings["network_config"])["channels"] == 8


def test_missing_metadata_is_empty(rewrite):
    path = rewrite(title=None, artist=None, year=None, licence=None, source=None, trained_with=None)
    metadata = read_metadata(path)
    assert (metadata.title, metadata.artist, metadata.trained_with) == ("", "", {})


def test_metadata_of_later_versions_is_ignored(rewrite):
    assert load_style_file(rewrite(mood="stormy")).metadata.name == "small"


NOT_FINITE = {"NaN": np.nan, "infinity": np.inf, "minus infinity": -np.inf}


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"extra.weight": np.zeros(3, np.float32)}, "Unexpected weights for fast: extra.weight"),
        ({"out.bias": None}, "Missing weights for fast: out.bias"),
        ({"out.bias": None, "out.weight": None, "to_full.bias": None, "to_full.weight": None}, "and 1 more"),
        ({"out.bias": np.zeros(4, np.float32)}, r"out.bias has shape \(4,\), not \(3,\)"),
        ({"out.weight": np.zeros((3, 4, 9), np.float32)}, "out.weight has shape"),
        ({"out.bias": np.zeros(3, np.int64)}, "out.bias has int64 values"),
        ({"out.bias": np.zeros(3, bool)}, "out.bias has bool values"),
        *(
            ({"out.bias": np.array([0, v, 0], np.float32)}, "out.bias has values that are not")
            for v in NOT_FINITE.values()
        ),
        ({"out.bias": np.array([0, 0, np.nan], np.float16)}, "out.bias has values that are not finite"),
    ],
    ids=[
        "unknown",
        "missing",
        "many missing",
        "shape",
        "dimensions",
        "integers",
        "booleans",
        *NOT_FINITE,
        "half",
    ],
)
def test_a_file_with_wrong_weights_is_refused(rewrite, arrays, message):
    with pytest.raises(StyleFileError, match=message):
        load_style_file(rewrite(arrays))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float8_e4m3fn], ids=str)
def test_tensors_of_types_that_numpy_lacks_are_refused(rewrite, dtype):
    path = rewrite(
        {"out.bias": torch.zeros(3, dtype=dtype)}, save=safetensors.torch.save_file, load=safetensors.torch.load_file
    )
    with pytest.raises(StyleFileError):
        load_style_file(path)


WRONG_METADATA = {
    "no format": {"format": None},
    "PyTorch's format": {"format": "pt"},
    "a later format": {"format": "stylekit-style-2"},
    "no network": {"network": None},
    "unknown network": {"network": "resnet"},
    "no name": {"name": None},
    "empty name": {"name": ""},
    "name that is a path": {"name": "../evil"},
    "name in capitals": {"name": "Small"},
    "name with a line break": {"name": "small\n"},
    "config not JSON": {"network_config": "channels: 8"},
    "config a list": {"network_config": "[8]"},
    "config a number": {"network_config": "8"},
    "config null": {"network_config": "null"},
    "config nested deeply": {"network_config": '{"channels":' * 100_000},
    "config with endless number": {"network_config": f'{{"channels": {"9" * 10_000}}}'},
    "config with NaN": {"network_config": '{"channels": NaN}'},
    "config out of range": {"network_config": '{"channels": 100000}'},
    "config with unknown setting": {"network_config": '{"depth": 8}'},
    "recipe not JSON": {"trained_with": "steps=8"},
    "recipe a list": {"trained_with": "[]"},
    "recipe nested deeply": {"trained_with": "[" * 100_000},
}


@pytest.mark.parametrize("function", [read_metadata, load_style_file])
@pytest.mark.parametrize("metadata", WRONG_METADATA.values(), ids=WRONG_METADATA)
def test_a_file_with_wrong_metadata_is_refused(rewrite, function, metadata):
    with pytest.raises(StyleFileError):
        function(rewrite(**metadata))


def test_a_file_of_another_network_is_refused(rewrite):
    with pytest.raises(StyleFileError, match="Missing weights for johnson"):
        load_style_file(rewrite(network="johnson", network_config="{}"))


def test_weights_of_another_program_are_sent_to_the_importer(rewrite):
    with pytest.raises(StyleFileError, match="Not a style file") as caught:
        load_style_file(rewrite(format=None))
    assert "stylekit styles import" in caught.value.hint


DAMAGES = {
    "empty": lambda content: b"",
    "four bytes": lambda content: content[:4],
    "header cut": lambda content: content[:100],
    "weights cut": lambda content: content[:-1],
    "weights too long": lambda content: content + b"\0",
    "endless header": lambda content: b"\xff" * 8 + content[8:],
    "header not JSON": lambda content: content[:8] + b"x" + content[9:],
    "text": lambda content: b"<!DOCTYPE html><title>404 Not Found</title>",
    "Git-LFS pointer": lambda content: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 123\n",
    "overlapping": lambda content: _with_header(content, lambda entry: entry | {"data_offsets": [0, 4]}),
    "beyond the end": lambda content: _with_header(content, lambda entry: entry | {"data_offsets": [0, 1 << 40]}),
    "unknown type": lambda content: _with_header(content, lambda entry: entry | {"dtype": "Q8"}),
}


def _with_header(content, change):
    """Change each tensor's entry in a safetensors header."""
    length = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + length])
    changed = {name: entry if name == "__metadata__" else change(entry) for name, entry in header.items()}
    encoded = json.dumps(changed).encode()
    return struct.pack("<Q", len(encoded)) + encoded + content[8 + length :]


@pytest.mark.parametrize("function", [read_metadata, load_style_file])
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_corrupt_file_is_refused_by_name(style_path, function, damage):
    content = style_path.read_bytes()
    style_path.write_bytes(damage(content))
    assert style_path.read_bytes() != content
    with pytest.raises(StyleFileError, match=r"small\.safetensors"):
        function(style_path)


@pytest.mark.parametrize("function", [read_metadata, load_style_file])
def test_a_pickle_under_a_style_files_name_is_not_unpickled(tmp_path, function):
    path, trace = tmp_path / "bomb.safetensors", tmp_path / "exploded"
    path.write_bytes(pickle.dumps(Bomb(trace)))
    with pytest.raises(StyleFileError):
        function(path)
    assert not trace.exists()


@pytest.mark.parametrize("function", [read_metadata, load_style_file])
@pytest.mark.parametrize("name", ["absent.safetensors", "."], ids=["absent", "folder"])
def test_a_missing_file_or_a_folder_is_refused_by_name(tmp_path, function, name):
    with pytest.raises(StyleFileError, match=str(tmp_path)):
        function(tmp_path / name)


@pytest.mark.parametrize(
    ("arrays", "metadata"),
    [
        ({"out.bias": None}, {}),
        ({"out.bias": np.zeros(3, np.int32)}, {}),
        ({}, {"name": "../evil"}),
        ({}, {"format": None}),
    ],
    ids=["missing weights", "integers", "bad name", "no format"],
)
def test_every_refusal_names_the_file(rewrite, arrays, metadata):
    path = rewrite(arrays, **metadata)
    with pytest.raises(StyleFileError) as caught:
        load_style_file(path)
    assert str(path) in caught.value.message


WRONG_WEIGHTS = {
    "NaN": lambda weights: weights | {"out.bias": np.full(3, np.nan, np.float32)},
    "infinity": lambda weights: weights | {"out.weight": weights["out.weight"] + np.float32(np.inf)},
    "missing": lambda weights: {name: array for name, array in weights.items() if name != "out.bias"},
    "integers": lambda weights: weights | {"out.bias": np.zeros(3, np.int32)},
}


@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
@pytest.mark.parametrize("change", WRONG_WEIGHTS.values(), ids=WRONG_WEIGHTS)
def test_wrong_weights_are_not_saved_and_leave_the_old_file_alone(small_style, style_path, change):
    before = style_path.read_bytes()
    with pytest.raises(StyleFileError):
        save_style_file(StyleFile(small_style.metadata, change(small_style.weights)), style_path)
    assert style_path.read_bytes() == before
    assert list(style_path.parent.iterdir()) == [style_path]


@pytest.mark.parametrize(
    "changes",
    [{"name": "No Name"}, {"network": "resnet"}, {"network_config": {"depth": 1}}],
    ids=["name", "network", "config"],
)
def test_metadata_that_could_not_be_loaded_is_not_saved(small_style, tmp_path, changes):
    metadata = dataclasses.replace(small_style.metadata, **changes)
    with pytest.raises((StyleFileError, ConfigError)):
        save_style_file(StyleFile(metadata, small_style.weights), tmp_path / "a.safetensors")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_to_is_a_clear_error(small_style, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    target = tmp_path / "file" / "small.safetensors"
    with pytest.raises(StyleFileError, match="Cannot write") as caught:
        save_style_file(small_style, target)
    assert str(target) in caught.value.message
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_full_disk_leaves_nothing_behind(small_style, tmp_path, monkeypatch):
    def fill(path, data):
        with path.open("wb") as file:
            file.write(data[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fill)
    with pytest.raises(StyleFileError, match="No space left on device"):
        save_style_file(small_style, tmp_path / "a.safetensors")
    assert not list(tmp_path.iterdir())


def test_weights_pass_in_any_order_and_floating_point_type(small_style):
    types = itertools.cycle((np.float16, np.float32, np.float64))
    weights = {name: array.astype(next(types)) for name, array in reversed(small_style.weights.items())}
    check_weights(weights, "fast", small_style.metadata.network_config)


@pytest.mark.parametrize("function", [read_metadata, load_style_file])
def test_a_file_without_permission_is_not_called_corrupt(style_path, without_permission, function):
    without_permission(style_path)
    with pytest.raises(StyleFileError, match=f"Cannot read {style_path}: Permission denied"):
        function(style_path)

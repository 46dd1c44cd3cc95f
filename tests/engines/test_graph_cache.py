"""Optimized networks in the cache: the same results, no `onnx`, and never in the way."""

import dataclasses
import hashlib
import os
import re
import subprocess
import sys

import numpy as np
import onnxruntime
import pytest

from stylekit.engines import graph_cache
from stylekit.engines.graph_cache import cached_graph_path, read_graph, store_graph
from stylekit.engines.onnxruntime_engine import OnnxruntimeEngine
from stylekit.networks import architecture
from stylekit.styles.locations import bundled_styles_dir
from stylekit.styles.style_file import StyleFile, StyleMetadata, load_style_file
from stylekit.system.paths import cache_dir
from tests.image_material import read_image

PHOTO = np.random.default_rng(0).random((1, 50, 75, 3), np.float32)


def entries():
    """Return everything in the cache of graphs, hidden files too."""
    folder = cache_dir() / "graphs"
    return sorted(folder.iterdir()) if folder.is_dir() else []


@pytest.fixture
def never_built(monkeypatch):
    """Let the test fail if a network is built."""

    def fail(*arguments, **settings):
        raise AssertionError("the network was built again")

    return lambda: monkeypatch.setattr(OnnxruntimeEngine, "_build", fail)


def random_style(network):
    random = np.random.default_rng(0)
    shapes = architecture(network).parameter_shapes({})
    weights = {name: random.normal(0, np.prod(shape[1:]) ** -0.5, shape).astype("f") for name, shape in shapes.items()}
    return StyleFile(StyleMetadata(name="mine", network=network), weights)


@pytest.mark.parametrize("name", ["starry-night", "udnie", "johnson"])
def test_a_cached_network_paints_exactly_what_a_new_one_does(name, never_built):
    style = random_style(name) if name == "johnson" else load_style_file(bundled_styles_dir() / f"{name}.safetensors")
    without_cache = OnnxruntimeEngine(style, threads=1)
    without_cache._network = without_cache._build(None, False)
    expected = without_cache.run(PHOTO)
    np.testing.assert_array_equal(OnnxruntimeEngine(style, threads=1).run(PHOTO), expected)  # which stores it
    never_built()
    np.testing.assert_array_equal(OnnxruntimeEngine(style, threads=1).run(PHOTO), expected)


def test_the_network_of_a_steady_video_is_cached_apart(small_style, never_built):
    engine = OnnxruntimeEngine(small_style, threads=1)
    frame, used = engine.run_after(PHOTO, (), 0.5)
    alone = engine.run(PHOTO)
    assert len(entries()) == 2
    never_built()
    again = OnnxruntimeEngine(small_style, threads=1)
    np.testing.assert_array_equal(again.run(PHOTO), alone)
    cached_frame, also_used = again.run_after(PHOTO, (), 0.5)
    np.testing.assert_array_equal(cached_frame, frame)
    for one, other in zip(used, also_used, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_network_with_the_statistics_of_one_image_is_not_cached(small_style):
    width = len(small_style.weights["stem.norm.weight"])
    engine = OnnxruntimeEngine(small_style, threads=1).with_norm((np.zeros(width), np.ones(width)))
    engine.moments(PHOTO[0], slice(0, 50), slice(0, 75))
    assert entries() == []


def test_replicas_share_an_entry(small_style, never_built):
    first, second = OnnxruntimeEngine(small_style, threads=2).replicas()
    expected = first.run(PHOTO)
    never_built()
    np.testing.assert_array_equal(second.run(PHOTO), expected)


def apply(photo, style, output):
    done = subprocess.run(
        [*(sys.executable, "-X", "importtime", "-m", "stylekit", "apply"), photo, "-s", style, "-o", output],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "NO_COLOR": "1"},
    )
    return set(re.findall(r"^import time:.*\|\s*(\S+)$", done.stderr, re.MULTILINE))


def test_the_second_run_imports_no_onnx(tmp_path, make_photo, style_path):
    make_photo().save(tmp_path / "lion.png")
    loaded = [apply(tmp_path / "lion.png", style_path, tmp_path / f"{run}.png") for run in range(2)]
    assert ["onnx" in modules for modules in loaded] == [True, False]
    assert "onnxruntime" in loaded[1]
    first, second = (np.asarray(read_image(tmp_path / f"{run}.png")) for run in range(2))
    np.testing.assert_array_equal(first, second)


def with_digest(graph):
    return graph + hashlib.sha256(graph).digest()


DAMAGES = {
    "empty": lambda content: b"",
    "truncated": lambda content: content[: len(content) // 2],
    "one bit": lambda content: content[:999] + bytes([content[999] ^ 1]) + content[1000:],
    "another file": lambda content: b"\x89PNG" * 99,
    "not a graph": lambda content: with_digest(b"no graph at all"),
    "half a graph": lambda content: with_digest(content[: len(content) // 2]),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_corrupt_entry_is_ignored_and_replaced(damage, small_style, never_built):
    expected = OnnxruntimeEngine(small_style, threads=1).run(PHOTO)
    (entry,) = entries()
    entry.write_bytes(damage(entry.read_bytes()))
    np.testing.assert_array_equal(OnnxruntimeEngine(small_style, threads=1).run(PHOTO), expected)
    assert entries() == [entry]
    never_built()
    np.testing.assert_array_equal(OnnxruntimeEngine(small_style, threads=1).run(PHOTO), expected)


def test_a_folder_in_place_of_an_entry_does_no_harm(small_style):
    cached_graph_path(small_style, smooths=False).mkdir(parents=True)
    assert OnnxruntimeEngine(small_style, threads=1).run(PHOTO).shape == PHOTO.shape
    assert len(entries()) == 1


def test_a_cache_that_cannot_be_written_does_no_harm(small_style):
    expected = OnnxruntimeEngine(small_style, threads=1).run(PHOTO)
    (entry,) = entries()
    entry.unlink()
    entry.parent.rmdir()
    entry.parent.write_text("a file where the folder would be")
    np.testing.assert_array_equal(OnnxruntimeEngine(small_style, threads=1).run(PHOTO), expected)
    assert entry.parent.read_text() == "a file where the folder would be"


def test_a_full_disk_does_no_harm(tmp_path, make_photo, style_path):
    pytest.importorskip("resource", reason="the system cannot limit the size of files")
    make_photo().save(tmp_path / "lion.png")
    code = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (15_000, 15_000))  # bytes; the result is smaller, the graph larger
from stylekit.cli.app import run
sys.exit(run(sys.argv[1:]))
"""
    arguments = ["apply", tmp_path / "lion.png", "-s", style_path, "-o", tmp_path / "out.png", "--strip-metadata"]
    unmeasured = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, env=unmeasured, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert read_image(tmp_path / "out.png").size == (64, 48)
    assert entries() == []


def test_an_interrupted_build_leaves_nothing(small_style):
    def build(temporary):
        temporary.write_bytes(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store_graph(cached_graph_path(small_style, smooths=False), build)
    assert entries() == []


def test_an_entry_serves_no_other_style_version_or_code(small_style, monkeypatch):
    weights = {**small_style.weights, "out.bias": small_style.weights["out.bias"] + 1}
    metadata = small_style.metadata
    settings = dataclasses.replace(metadata, network_config={**metadata.network_config, "blocks": 2})
    paths = [cached_graph_path(small_style, smooths=smooths) for smooths in (False, True)]
    paths += [cached_graph_path(dataclasses.replace(small_style, weights=weights), smooths=False)]
    paths += [cached_graph_path(dataclasses.replace(small_style, metadata=settings), smooths=False)]
    for name in ("__version__", "_sources", "_runtime"):
        monkeypatch.setattr(graph_cache, name, lambda: "other")
        paths.append(cached_graph_path(small_style, smooths=False))
    assert len(set(paths)) == len(paths)


def test_an_entry_serves_no_other_onnxruntime(monkeypatch):
    runtime = graph_cache._runtime.__wrapped__
    before = runtime()
    assert before == runtime()
    monkeypatch.setattr(onnxruntime, "__version__", "99.0")
    assert runtime() != before


def test_renamed_styles_share_an_entry(small_style):
    renamed = dataclasses.replace(small_style.metadata, name="other", title="Other")
    styles = small_style, StyleFile(renamed, small_style.weights)
    assert len({cached_graph_path(style, smooths=False) for style in styles}) == 1


def test_the_least_recently_used_entries_make_room(tmp_path, monkeypatch):
    monkeypatch.setattr(graph_cache, "_LARGEST", 300)

    def add(name):
        store_graph(tmp_path / f"{name}.ort", lambda path: path.write_bytes(bytes(100 - 32)))

    for age, name in enumerate("cba", 1):
        add(name)
        os.utime(tmp_path / f"{name}.ort", (1e9 - age, 1e9 - age))
    assert read_graph(tmp_path / "a.ort") == bytes(68)  # which makes the oldest the most recently used
    add("d")
    assert {path.name for path in tmp_path.iterdir()} == {"a.ort", "c.ort", "d.ort"}

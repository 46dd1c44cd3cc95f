"""Engines are interchangeable: the same images, and torch only where it is needed."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from stylekit.config.apply import ApplyConfig
from stylekit.engines import build_engine
from stylekit.engines.blended import BlendedEngine
from stylekit.engines.onnxruntime_engine import OnnxruntimeEngine
from stylekit.engines.smoothed import SmoothedEngine
from stylekit.engines.torch_engine import TorchEngine
from stylekit.errors import ConfigError, OutOfMemory
from stylekit.images.pixels import to_floats
from stylekit.networks import architecture
from stylekit.styles.locations import bundled_styles_dir
from stylekit.styles.style_file import StyleFile, StyleMetadata, load_style_file
from stylekit.system.extras import install_hint

HARBOUR = Path(__file__).parents[2] / "docs" / "images" / "harbour.jpg"


def test_on_a_cpu_networks_run_in_onnxruntime_unless_torch_is_asked_for(small_style):
    assert isinstance(build_engine(small_style, device="cpu"), OnnxruntimeEngine)
    assert isinstance(build_engine(small_style, engine="onnxruntime"), OnnxruntimeEngine)
    assert isinstance(build_engine(small_style, device="cpu", engine="torch"), TorchEngine)


def test_onnxruntime_does_not_phone_home(tmp_path):
    code = "import numpy, stylekit; stylekit.load_style('starry-night').stylize(numpy.zeros((16, 16, 3), numpy.uint8))"
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "HOME": str(tmp_path)}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    assert [path for path in tmp_path.rglob("*") if "onnxruntime" in path.name] == []


def test_onnxruntime_runs_on_the_cpu_only(small_style):
    with pytest.raises(ConfigError, match="runs on the CPU"):
        build_engine(small_style, device="cuda:0", engine="onnxruntime")
    for wrong in ({"engine": "tensorflow"}, {"threads": 0}):
        with pytest.raises(ConfigError):
            ApplyConfig(**wrong)
        with pytest.raises(ConfigError):
            build_engine(small_style, **wrong)


@pytest.mark.parametrize("module", ["onnxruntime_engine.Onnxruntime", "torch_engine.Torch"])
def test_threads_are_limited_to_those_of_the_cpu(small_style, monkeypatch, module):
    taken = []
    monkeypatch.setattr("stylekit.engines.usable_threads", lambda: 3)
    monkeypatch.setattr(f"stylekit.engines.{module}Engine", lambda style, **settings: taken.append(settings["threads"]))
    for threads in (100_000, 2, None):
        build_engine(small_style, device="cpu", engine=module.partition("_")[0], threads=threads)
    assert taken == [3, 2, None]


@pytest.mark.parametrize("path", sorted(bundled_styles_dir().glob("*.safetensors")), ids=lambda path: path.stem)
def test_both_engines_paint_the_same(path):
    style = load_style_file(path)
    photo = to_floats(np.asarray(Image.open(HARBOUR).resize((150, 101))))[None]
    expected = TorchEngine(style, device="cpu", threads=1).run(photo)
    np.testing.assert_allclose(OnnxruntimeEngine(style, threads=1).run(photo) * 255, expected * 255, rtol=0, atol=1e-2)


@pytest.fixture
def harbour():
    return to_floats(np.asarray(Image.open(HARBOUR).resize((75, 50))))[None]


@pytest.mark.parametrize(("threads", "engines"), [(1, 1), (2, 2), (3, 2)])
def test_replicas_of_an_engine_paint_as_it_does(small_style, harbour, threads, engines):
    whole = OnnxruntimeEngine(small_style, threads=threads)
    for engine in (whole, BlendedEngine([whole, whole], [1, 3])):
        replicas = engine.replicas()
        assert len(replicas) == engines
        for replica in replicas:
            np.testing.assert_allclose(replica.run(harbour), whole.run(harbour), rtol=0, atol=1e-5)
            shared = dataclasses.replace(engine.facts, bytes_per_pixel=engines * whole.facts.bytes_per_pixel)
            assert replica.facts == shared  # they share the memory
    assert sum(replica._threads or 0 for replica in whole.replicas()) == threads
    assert whole.replicas() is whole.replicas()  # the next video reuses them


def test_an_engine_that_takes_all_threads_has_no_other_replicas(small_style):
    engine = TorchEngine(small_style, device="cpu", threads=2)
    assert engine.replicas() == [engine]


def test_half_precision_paints_nearly_the_same(harbour):
    style = load_style_file(bundled_styles_dir() / "starry-night.safetensors")
    engine = TorchEngine(style, device="cpu", threads=1)
    expected = engine.run(harbour)
    engine._half = True  # as on CUDA
    image = engine.run(harbour)
    assert image.dtype == np.float32
    assert engine._half  # nothing left its range
    assert 0 < np.abs(image - expected).max() * 255 < 3


def test_a_network_that_half_precision_cannot_hold_runs_in_float32(small_style, harbour):
    weights = dict(small_style.weights)
    weights["to_full.bias"] = np.full_like(weights["to_full.bias"], 1e6)
    weights["out.weight"] = weights["out.weight"] * 0  # infinity times zero is not a number
    engine = TorchEngine(dataclasses.replace(small_style, weights=weights), device="cpu", threads=1)
    expected = engine.run(harbour)
    engine._half = True
    np.testing.assert_array_equal(engine.run(harbour), expected)
    assert not engine._half


@pytest.mark.parametrize("network", ["fast", "johnson"])
def test_channels_last_as_on_gpus_paints_the_same(network, small_style, harbour):
    style = small_style
    if network == "johnson":
        torch.manual_seed(0)
        weights = {name: tensor.numpy() for name, tensor in architecture("johnson").build().state_dict().items()}
        style = StyleFile(StyleMetadata(name="mine", network="johnson"), weights)
    engine = TorchEngine(style, device="cpu", threads=1)
    expected = engine.run(harbour)
    engine._layout = torch.channels_last
    engine._network.to(memory_format=torch.channels_last)
    assert engine._batch(harbour).is_contiguous(memory_format=torch.channels_last)
    np.testing.assert_allclose(engine.run(harbour) * 255, expected * 255, rtol=0, atol=1e-2)


def test_a_batch_of_images_comes_out_as_one_by_one(small_style):
    engine = build_engine(small_style, device="cpu", threads=1)
    photos = np.random.default_rng(0).random((3, 20, 28, 3), np.float32)
    np.testing.assert_allclose(engine.run(photos)[1], engine.run(photos[1:2])[0], atol=1e-5)


def test_an_image_too_large_for_memory_is_one_clear_error(small_style, monkeypatch):
    from onnxruntime.capi.onnxruntime_pybind11_state import RuntimeException

    class Full:
        def run(self, outputs, inputs):
            raise RuntimeException("Failed to allocate memory for requested buffer of size 99")

    engine = OnnxruntimeEngine(small_style, threads=1)
    monkeypatch.setattr(engine, "_network", Full())
    with pytest.raises(OutOfMemory, match="Out of memory on cpu"):
        engine.run(np.zeros((1, 8, 8, 3), np.float32))


def without_torch(*arguments):
    """Run a command as if torch were not installed."""
    code = "import sys; sys.modules['torch'] = None; from stylekit.cli.app import run; sys.exit(run(sys.argv[1:]))"
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, check=False, capture_output=True, text=True)


@pytest.mark.parametrize("more", [[], ["--tile", "64"], ["-s", "great-wave", "--blend"]])
def test_a_photo_is_stylized_without_torch(more, tmp_path, make_photo):
    make_photo(100, 80).save(tmp_path / "lion.jpg")
    result = without_torch("apply", tmp_path / "lion.jpg", "-s", "starry-night", "-o", tmp_path / "out.jpg", *more)
    assert (result.returncode, result.stderr) == (0, "")
    assert (tmp_path / "out.jpg").is_file()


def test_what_needs_torch_says_so_in_one_line(tmp_path, make_photo):
    make_photo().save(tmp_path / "lion.png")
    (tmp_path / "old.pth").write_bytes(b"PK")
    photo = tmp_path / "lion.png"
    for arguments in (
        ["apply", photo, "-s", tmp_path / "old.pth"],
        ["apply", photo, "-s", "starry-night", "--engine", "torch"],
        ["gatys", photo, photo, "-o", tmp_path / "out.png"],
    ):
        result = without_torch(*arguments)
        assert result.returncode == 1
        assert result.stderr.splitlines()[-2:] == [
            "error: torch is not installed; it is part of the extra 'torch'.",
            f"hint: {install_hint('torch')}",
        ]


@pytest.mark.parametrize("engine", ["torch", "onnxruntime"])
def test_a_videos_first_frame_is_stylized_like_a_photo(small_style, engine):
    network = build_engine(small_style, device="cpu", engine=engine, threads=1)
    photo = np.random.default_rng(0).random((1, 20, 28, 3), np.float32)
    result, _ = network.run_after(photo, (), 0.9)
    np.testing.assert_allclose(result, network.run(photo), atol=1e-5)


def test_both_engines_follow_the_previous_frame_alike(small_style):
    dark, bright = np.random.default_rng(0).random((2, 1, 20, 28, 3), np.float32) * 0.3 + [[[[[0]]]], [[[[0.7]]]]]
    results = []
    for name in ("torch", "onnxruntime"):
        engine = build_engine(small_style, device="cpu", engine=name, threads=1)
        _, last = engine.run_after(dark.astype(np.float32), (), 0.9)
        results.append([engine.run_after(bright.astype(np.float32), last, share) for share in (0.0, 0.5, 1.0)])
    for (one, used), (other, also_used) in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
        for statistics, also in zip(used, also_used, strict=True):
            np.testing.assert_allclose(statistics, also, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(results[1][2][1][0], last[0], rtol=1e-5, atol=1e-6)
    assert np.abs(results[0][0][0] - results[0][2][0]).mean() > 0.01


def test_a_smoothed_engine_remembers_until_it_forgets(small_style):
    network = build_engine(small_style, device="cpu", threads=1)
    photos = np.random.default_rng(0).random((2, 1, 20, 28, 3), np.float32)
    photos[0] *= 0.2
    engine = SmoothedEngine(network, 0.9)
    engine.run(photos[0])
    alone = network.run(photos[1])
    assert np.abs(engine.run(photos[1]) - alone).mean() > 0.01
    engine.forget()
    np.testing.assert_allclose(engine.run(photos[1]), alone, atol=1e-5)

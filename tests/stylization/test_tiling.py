"""Tiles are invisible: they match what the network computes in one piece, with less memory."""

import dataclasses
from functools import partial, reduce
from operator import add

import numpy as np
import pytest
import torch
from torch import nn

from stylekit.engines.blended import BlendedEngine
from stylekit.engines.moments import Moments
from stylekit.engines.onnxruntime_engine import OnnxruntimeEngine
from stylekit.engines.protocol import EngineFacts
from stylekit.engines.torch_engine import TorchEngine
from stylekit.errors import ConfigError, OutOfMemory
from stylekit.networks import architecture
from stylekit.networks.shapes import TILE_MULTIPLE
from stylekit.styles.style_file import StyleFile, StyleMetadata
from stylekit.stylization.tiling import _spans, paint
from tests.fake_engine import FakeEngine

TINY = {"channels": 8, "blocks": 2, "half_channels": 4, "full_channels": 4}
NETWORKS = [("fast", {}), ("fast", TINY), ("johnson", {})]


def style_of(network, config):
    torch.manual_seed(0)
    weights = {}
    for name, tensor in architecture(network).build(config).state_dict().items():
        weights[name] = tensor.numpy() + (0.1 if tensor.ndim == 1 else 0)
    last = "out" if network == "fast" else "deconv3.conv2d"  # untrained, it would paint hardly any contrast
    weights[f"{last}.weight"] *= 30 if network == "fast" else 200
    weights[f"{last}.bias"] += 0 if network == "fast" else 128
    return StyleFile(StyleMetadata(name="random", network=network, network_config=config), weights)


def engines_of(network, config):
    style = style_of(network, config)
    return [OnnxruntimeEngine(style, threads=1), TorchEngine(style, device="cpu", threads=1)]


@pytest.fixture
def engine():
    return OnnxruntimeEngine(style_of("fast", TINY), threads=1)


def photo(height, width, make_photo):
    """With a dark half, so that tiles normalized on their own would differ."""
    pixels = np.array(make_photo(width, height))
    pixels[:, width // 2 :] //= 3
    return pixels


@pytest.mark.parametrize("size", [(130, 197), (64, 300), (259, 66), (65, 129)])
@pytest.mark.parametrize(("network", "config"), [("fast", TINY), ("johnson", {})])
def test_tiles_match_one_piece(network, config, size, make_photo):
    height, width = size
    pixels = photo(height, width, make_photo)
    for engine in engines_of(network, config):
        whole = paint(engine, [pixels], 0)[0].astype(int)
        assert np.abs(paint(engine, [pixels], 64)[0] - whole).max() <= 1
        assert whole.std() > 5


@pytest.mark.parametrize("width", [129, 130, 132, 133])
def test_moments_of_tiles_add_up_to_those_of_one_piece(engine, width, make_photo):
    pixels = np.divide(photo(40, width, make_photo), 255, dtype=np.float32)
    rows = slice(0, 40)
    while engine.facts.free_norms:
        whole = engine.moments(pixels, rows, slice(0, width))
        spans = _spans(width, 64, engine.facts.receptive_radius)
        together = reduce(add, (engine.moments(pixels[:, span.seen], rows, span.part_of_seen) for span in spans))
        assert together.count == whole.count
        for tiled, exact in zip(together.statistics, whole.statistics, strict=True):
            np.testing.assert_allclose(tiled, exact, rtol=1e-4, atol=1e-6)
        engine = engine.with_norm(whole.statistics)


def test_tiles_of_a_blend_match_one_piece(make_photo):
    pixels = photo(130, 141, make_photo)
    fast, johnson = style_of("fast", TINY), style_of("johnson", {})
    engine = BlendedEngine(
        [TorchEngine(johnson, device="cpu", threads=1), OnnxruntimeEngine(fast, threads=1)], [0.6, 0.4]
    )
    assert np.abs(paint(engine, [pixels], 64)[0].astype(int) - paint(engine, [pixels], 0)[0]).max() <= 1


def test_the_memory_that_a_blends_engines_hold_is_asked_for_each_time():
    part = Recording()
    engine = BlendedEngine([part], [1])
    part.held_bytes = 7
    assert engine.held_bytes == 7


def test_tiles_normalized_on_their_own_would_be_visible(engine, make_photo):
    pixels = photo(128, 256, make_photo)
    whole = paint(engine, [pixels], 0)[0].astype(int)
    assert np.abs(paint(engine, [pixels[:, :128].copy()], 0)[0] - whole[:, :128]).mean() > 2


@pytest.mark.parametrize(("network", "config"), NETWORKS)
def test_the_receptive_radius_is_the_networks(network, config):
    fixed = TorchEngine(style_of(network, config), device="cpu", threads=1)
    for name in architecture(network).norm_names(config):
        channels = architecture(network).parameter_shapes(config)[f"{name}.weight"][0]
        fixed = fixed.with_norm((np.zeros(channels), np.ones(channels)))
    radius, furthest = architecture(network).receptive_radius(config), 0
    for module in fixed._network.modules():  # no negative weights: nothing cancels, no ReLU closes
        if isinstance(module, nn.Conv2d):
            module.weight.abs_().div_(module.weight.sum(dim=(1, 2, 3), keepdim=True))
    for row in range(4):  # a pixel sees the further the nearer it lies to the side of its cell
        pixels = torch.rand(1, 3, 8 * radius // 4 * 2, 16).requires_grad_()
        middle = pixels.shape[2] // 2 + row
        fixed._network(pixels)[0, :, middle].sum().backward()
        assert pixels.grad is not None
        rows = pixels.grad.abs().sum(dim=(0, 1, 3)).nonzero().flatten() - middle
        furthest = max(furthest, int(rows.abs().max()))
    assert radius - TILE_MULTIPLE < furthest <= radius


@pytest.mark.parametrize("length", [1, 64, 65, 200])
def test_every_row_is_in_one_tile_with_all_that_it_depends_on(length):
    painted: list[int] = []
    for span in _spans(length, 66, 20):
        rows = range(length)
        painted += rows[span.part]
        assert rows[span.seen][span.part_of_seen] == rows[span.part]
        assert span.part.start % TILE_MULTIPLE == 0
        assert span.part.start - span.seen.start == min(20, span.part.start)
        assert span.seen.stop - span.part.stop == min(20, length - span.part.stop)
    assert painted == list(range(length))


def test_moments_of_parts_add_up_to_those_of_the_whole():
    features = np.random.default_rng(0).normal(3, 2, (5, 8, 9)).astype(np.float32)
    mean, variance = (Moments.of(features[:, :3]) + Moments.of(features[:, 3:])).statistics
    np.testing.assert_allclose(mean, features.mean(axis=(1, 2)), rtol=1e-5)
    np.testing.assert_allclose(variance, features.var(axis=(1, 2)), rtol=1e-5)


class Recording(FakeEngine):
    """An engine that records the sizes that it stylizes, with memory for `room` pixels."""

    def __init__(self, room=10**9):
        self.room = room
        self.seen = []

    def run(self, images):
        height, width = images.shape[1:3]
        if len(images) * height * width > self.room:
            raise OutOfMemory("Out of memory on cpu.", "")
        self.seen.append((height, width))
        return images

    def moments(self, tile, rows, columns):
        return Moments(1, np.zeros(1), np.zeros(1))

    def with_norm(self, statistics):
        self.facts = dataclasses.replace(self.facts, free_norms=self.facts.free_norms - 1)
        return self


@pytest.fixture
def large():
    return np.zeros((1500, 1100, 3), np.uint8)


def free(monkeypatch, bytes_):
    monkeypatch.setattr("stylekit.stylization.tiling.free_memory", lambda device: bytes_)


def test_auto_paints_in_one_piece_what_fits(large, monkeypatch):
    free(monkeypatch, 2 * 100 * 1500 * 1100)
    engine = Recording()
    paint(engine, [large])
    assert engine.seen == [(1500, 1100)]


def test_auto_tiles_what_would_take_more_than_half_of_the_free_memory(large, monkeypatch):
    free(monkeypatch, 2 * 100 * 1500 * 1100 - 2)
    engine = Recording()
    paint(engine, [large])
    assert engine.seen == [(1032, 1032), (1032, 84), (484, 1032), (484, 84)]


def test_auto_tiles_beyond_an_ample_limit_where_that_is_cheap(monkeypatch):
    free(monkeypatch, 2**40)
    pixels = np.zeros((1040, 1040, 3), np.uint8)
    for device, norms, tiles in (("cpu", 4, 4), ("cpu", 15, 1), ("cuda:0", 4, 1)):
        engine = Recording()
        engine.facts = EngineFacts("fake", device, 8, free_norms=norms, norm_depth=norms, bytes_per_pixel=3000)
        paint(engine, [pixels])
        assert len(engine.seen) == tiles


def test_cuda_is_not_given_more_than_its_kernels_can_count(monkeypatch):
    torch_engine = TorchEngine(style_of("fast", TINY), device="cpu", threads=1)
    monkeypatch.setattr("stylekit.engines.torch_engine._MOST_CUDA_PIXELS", 64 * 64 - 1)
    images = np.zeros((4, 32, 32, 3), np.float32)
    assert torch_engine.run(images).shape == images.shape  # the CPU's kernels can
    torch_engine.facts = dataclasses.replace(torch_engine.facts, device="cuda:0")
    with pytest.raises(OutOfMemory, match="4,096 pixels"):
        torch_engine.run(images)
    with pytest.raises(OutOfMemory):
        torch_engine.moments(np.zeros((64, 64, 3), np.float32), slice(0, 64), slice(0, 64))


def test_auto_falls_back_to_tiles_when_memory_runs_out_anyway(large, monkeypatch):
    free(monkeypatch, 2**40)
    engine = Recording(room=600 * 600)
    np.testing.assert_array_equal(paint(engine, [large])[0], large)
    assert max(engine.seen) == (528, 528)


def test_photos_of_one_size_are_stylized_together_if_they_fit(engine, make_photo, monkeypatch):
    photos = [photo(40, 60, partial(make_photo, seed=seed)) for seed in range(3)]
    alone = [paint(engine, [pixels])[0] for pixels in photos]
    np.testing.assert_allclose(np.stack(paint(engine, photos)), np.stack(alone), atol=1)
    for room in (3 * 40 * 60, 40 * 60):
        recording = Recording(room)
        assert len(paint(recording, photos)) == 3
        assert len(recording.seen) == (1 if room > 40 * 60 else 3)
    free(monkeypatch, 2 * 100 * 40 * 60)
    recording = Recording()
    paint(recording, photos)
    assert len(recording.seen) == 3


def test_one_piece_and_tiles_that_do_not_fit_are_an_error(large, monkeypatch):
    for tile, room in ((0, 10**6), (512, 10**4), (None, 10**4)):
        with pytest.raises(OutOfMemory):
            paint(Recording(room), [large], tile)


def test_the_command_stylizes_in_tiles(stylekit, style_path, make_photo, tmp_path):
    make_photo(150, 140).save(tmp_path / "photo.png")
    arguments = ["apply", str(tmp_path / "photo.png"), "-s", str(style_path), "-o"]
    assert stylekit(*arguments, str(tmp_path / "whole.png"), "--tile", "off")[0] == 0
    assert stylekit(*arguments, str(tmp_path / "tiled.png"), "--tile", "64")[0] == 0
    from PIL import Image

    whole, tiled = (np.asarray(Image.open(tmp_path / name), int) for name in ("whole.png", "tiled.png"))
    assert np.abs(whole - tiled).max() <= 1


@pytest.mark.parametrize("tile", ["big", "8", "-1", "1.5"])
def test_an_invalid_tile_size_is_rejected(stylekit, tile, make_photo, tmp_path):
    make_photo().save(tmp_path / "photo.png")
    code, _, err = stylekit("apply", str(tmp_path / "photo.png"), "--tile", tile)
    assert (code, "tile" in err) == (2, True)


def test_the_settings_reject_it_too():
    from stylekit.config.apply import ApplyConfig

    with pytest.raises(ConfigError, match="--tile"):
        ApplyConfig(tile=5)

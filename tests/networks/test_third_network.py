"""A network that another package registers can be trained, applied, exported and imported."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from stylekit.networks import Architecture, architectures, register
from stylekit.networks.architecture import _REGISTERED
from stylekit.networks.shapes import convolution_shapes, norm_shapes
from stylekit.styles.importers import import_weights
from stylekit.styles.library import load_style_file_by_name
from stylekit.styles.style_file import load_style_file


class Tint(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.first = nn.Conv2d(3, channels, 3)
        self.norm = nn.InstanceNorm2d(channels, affine=True)
        self.last = nn.Conv2d(channels, 3, 3)

    def forward(self, photo):
        x = nn.functional.pad(photo, (2,) * 4, mode="replicate")
        return torch.sigmoid(self.last(torch.relu(self.norm(self.first(x)))))


class TintArchitecture(Architecture):
    name = "tint"
    defaults = {"channels": 4}  # noqa: RUF012

    def _shapes(self, **settings):
        channels = settings["channels"]
        shapes = convolution_shapes("first", 3, channels, 3) | norm_shapes("norm", channels)
        return shapes | convolution_shapes("last", channels, 3, 3)

    def _receptive_radius(self, **settings):
        return 2

    def _bytes_per_pixel(self, **settings):
        return 8 * settings["channels"]

    def _module(self, **settings):
        return Tint(settings["channels"])

    def _add_layers(self, graph, **settings):
        x = graph.norm(graph.convolution(graph.padded("photo", 2, "edge"), "first"), "norm", 1e-5)
        graph.node("Sigmoid", graph.convolution(graph.node("Relu", x), "last"), output="picture")


@pytest.fixture
def tint():
    yield register(TintArchitecture())
    del _REGISTERED["tint"]


@pytest.mark.usefixtures("one_thread")
def test_a_network_from_outside_is_one_object(tint, make_photo, tmp_path, stylekit):
    assert tint in architectures()
    photos = tmp_path / "photos"
    photos.mkdir()
    for seed in range(3):
        make_photo(128, 96, seed).save(photos / f"{seed}.png")
    make_photo(64, 64, 9).save(tmp_path / "painting.png")
    train = ("train", tmp_path / "painting.png", "--content", photos, "--name", "mine", "--network", "tint")
    few = ("--steps", "2", "--crop-size", "64", "--style-size", "64", "--loss-network", "compact")
    code, _, err = stylekit(*train, *few, "--run-dir", tmp_path / "run")
    assert code == 0, err
    style = load_style_file_by_name("mine")
    assert (style.metadata.network, style.metadata.network_config) == ("tint", {"channels": 4})

    photo = photos / "0.png"
    results = {}
    for name, options in {"whole": (), "torch": ("--engine", "torch"), "tiles": ("--tile", "64")}.items():
        path = tmp_path / f"{name}.png"
        code, _, err = stylekit("apply", photo, "--style", "mine", "--stroke-size", "1", "-o", path, *options)
        assert code == 0, err
        with Image.open(path) as image:
            results[name] = np.asarray(image, int)
    assert np.abs(results["whole"] - results["torch"]).max() <= 1
    assert np.abs(results["whole"] - results["tiles"]).max() <= 1

    code, _, err = stylekit("styles", "export", "mine", "--onnx", tmp_path / "mine.onnx")
    assert code == 0, err
    code, _, err = stylekit("styles", "import", tmp_path / "mine.onnx", "--name", "again")
    assert code == 0, err
    again = load_style_file_by_name("again")
    assert (again.metadata.network, again.metadata.name) == ("tint", "again")
    for name, array in style.weights.items():
        np.testing.assert_array_equal(again.weights[name], array.astype(np.float32))
    torch.save({name: torch.from_numpy(array) for name, array in again.weights.items()}, tmp_path / "tint.pth")
    assert import_weights(tmp_path / "tint.pth", "third").metadata.network == "tint"
    assert load_style_file(tmp_path / "run" / "mine.safetensors").metadata.network == "tint"

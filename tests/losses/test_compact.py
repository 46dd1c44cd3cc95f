"""The compact loss network: its activations, their inner products (VGG-19's), and optimization with it."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file

from stylekit import GatysConfig, gatys
from stylekit.errors import ConfigError
from stylekit.losses.compact import CompactFeatures
from stylekit.losses.layers import COMPACT_LAYERS, COMPACT_WIDTHS, compact_shapes
from stylekit.losses.style import gram_matrix, relative_error
from stylekit.losses.vgg import VggFeatures
from stylekit.losses.weights import compact_weights_path

MOST_BYTES = 2_000_000


@pytest.fixture(scope="module")
def weights():
    return load_file(compact_weights_path())


@pytest.fixture(scope="module")
def network(weights):
    return CompactFeatures(COMPACT_LAYERS, weights)


@pytest.fixture
def image():
    return torch.rand(2, 3, 20, 28, generator=torch.Generator().manual_seed(1))


def test_the_file_is_small_in_half_precision_and_has_its_recipe(weights):
    assert compact_weights_path().stat().st_size < MOST_BYTES
    assert {name: tuple(tensor.shape) for name, tensor in weights.items()} == compact_shapes()
    assert {tensor.dtype for tensor in weights.values()} == {torch.float16}
    with safe_open(compact_weights_path(), framework="numpy") as file:
        about = file.metadata()
    assert {"steps", "rounds", "errors"} <= json.loads(about["recipe"]).keys()
    assert "Simonyan" in about["source"]


def test_features_have_the_layers_names_and_sizes(network, image):
    assert {layer: tuple(features.shape) for layer, features in network(image).items()} == {
        "relu1_1": (2, 24, 20, 28),
        "relu2_1": (2, 72, 10, 14),
        "relu3_1": (2, 144, 5, 7),
        "relu3_3": (2, 144, 5, 7),
        "relu4_1": (2, 256, 2, 3),
    }


def test_features_are_those_of_a_plain_implementation(network, weights, image):
    import torch.nn.functional as F

    mean, deviation = (torch.tensor(v).view(1, 3, 1, 1) for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    x = (image - mean) / deviation
    features = network(image)
    for layer in COMPACT_WIDTHS:
        if layer in ("relu2_1", "relu3_1", "relu3_4"):  # in VGG-19 after relu3_4, not before
            x = F.max_pool2d(x, 2)
        x = F.pad(x, (1, 1, 1, 1), mode="replicate" if layer == "relu1_1" else "constant")
        kernel, bias = (weights[f"features.{layer}.{part}"].float() for part in ("weight", "bias"))
        x = F.relu(F.conv2d(x, kernel, bias))
        if layer in COMPACT_LAYERS:
            torch.testing.assert_close(features[layer], x, rtol=1e-3, atol=1e-3)


def test_only_what_is_asked_for_is_computed(network, image):
    ran = []
    for layer, convolution in network.features.items():
        convolution.register_forward_hook(lambda *_, layer=layer: ran.append(layer))
    assert list(network(image, ["relu2_1"])) == ["relu2_1"]
    assert ran == ["relu1_1", "relu1_2", "relu2_1"]


def test_a_missing_layer_is_named_with_the_available_ones(weights):
    with pytest.raises(ConfigError, match="compact has no layer 'relu2_2'") as caught:
        CompactFeatures(["relu2_2"], weights)
    assert "relu3_3" in caught.value.hint


def tensor(image):
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None] / 255


def grams_of(features, image):
    return {layer: gram_matrix(a, mapping=features.maps.get(layer)) for layer, a in features(image).items()}


@pytest.mark.parametrize("painting", ["starry-night.jpg", "olive-trees.jpg"])
def test_inner_products_are_nearly_those_of_the_real_vgg19(network, shared, painting):
    """On a photo and on paintings, one of which is new to it; random channels would be off by 1."""
    vgg = VggFeatures(COMPACT_LAYERS, load_file(shared / "weights" / "vgg19_relu4_1.safetensors"))
    files = (shared / "images" / "photos" / "golden-gate.jpg", shared / "images" / "paintings" / painting)
    photo, image = (tensor(Image.open(path).convert("RGB").resize((192, 192))) for path in files)
    grams = [[grams_of(features, p) for p in (photo, image)] for features in (network, vgg)]
    for layer in COMPACT_LAYERS:
        ours, theirs = (relative_error(of_photo[layer], of_image[layer]).item() for of_photo, of_image in grams)
        assert ours == pytest.approx(theirs, rel=0.1)


def test_optimization_with_it_lowers_the_real_vgg19s_losses(shared):
    """With a mistake in the maps, as with random channels, they would not fall at all."""
    weights = load_file(shared / "weights" / "vgg19_relu4_1.safetensors")
    files = (shared / "images" / "photos" / "golden-gate.jpg", shared / "images" / "paintings" / "olive-trees.jpg")
    photo, painting = (Image.open(path).convert("RGB").resize((128, 128)) for path in files)
    image = gatys(photo, painting, GatysConfig(size=128, steps=15, loss_network="compact", device="cpu"))
    before, after = (
        relative_error(
            *(grams_of(VggFeatures(COMPACT_LAYERS, weights), tensor(p))["relu3_1"] for p in (image, painting))
        )
        for image in (photo, image)
    )
    assert after < 0.4 * before


@pytest.mark.parametrize("style_loss", ["gram", "moments"])
def test_the_loss_falls(make_photo, style_loss):
    random = np.random.default_rng(0)
    painting = Image.fromarray(random.integers(0, 255, (6, 6, 3), np.uint8)).resize((64, 64), Image.Resampling.NEAREST)
    totals = []
    config = GatysConfig(size=64, steps=12, loss_network="compact", style_loss=style_loss, device="cpu")
    gatys(make_photo(64, 64), painting, config, on_step=lambda report: totals.append(report.total))
    assert totals[-1] < 0.5 * totals[0]

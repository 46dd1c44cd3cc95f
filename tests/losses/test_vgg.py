"""VGG-19 as a loss network: its activations, and which of its layers are computed."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file
from torch import nn

from stylekit.errors import ConfigError, LossWeightsError
from stylekit.losses.layers import VGG19_LAYERS, highest_layer
from stylekit.losses.vgg import VggFeatures

LAYERS = ("relu1_1", "relu1_2", "relu2_1", "relu3_1", "relu3_3")
MEAN = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
DEVIATION = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)


@pytest.fixture
def weights(vgg_weights):
    """Random weights up to relu3_3, with biases, so that a network that ignores them is noticed."""
    random = torch.Generator().manual_seed(0)
    state = {name: torch.from_numpy(array) for name, array in vgg_weights.items()}
    return {n: t if t.ndim == 4 else torch.rand(t.shape, generator=random) - 0.5 for n, t in state.items()}


@pytest.fixture
def image():
    return torch.rand(2, 3, 20, 28, generator=torch.Generator().manual_seed(1))


def restated(image, weights, layer, *, pool=F.max_pool2d, first_padding="replicate"):
    """Compute VGG-19 up to a layer, written plainly."""
    x = (image - MEAN) / DEVIATION
    for name, convolution in VGG19_LAYERS.items():
        if name.endswith("_1") and name != "relu1_1":
            x = pool(x, 2)
        first = name == "relu1_1"
        x = F.pad(x, (1, 1, 1, 1), mode=first_padding if first else "constant")
        x = F.relu(F.conv2d(x, *(weights[key] for key in convolution.shapes)))
        if name == layer:
            return x
    raise AssertionError(layer)


def test_activations_have_their_layers_names_and_shapes(weights, image):
    activations = VggFeatures(LAYERS, weights)(image)
    assert {name: tuple(tensor.shape) for name, tensor in activations.items()} == {
        "relu1_1": (2, 64, 20, 28),
        "relu1_2": (2, 64, 20, 28),
        "relu2_1": (2, 128, 10, 14),
        "relu3_1": (2, 256, 5, 7),
        "relu3_3": (2, 256, 5, 7),
    }


@pytest.mark.parametrize(("pooling", "pool"), [("max", F.max_pool2d), ("avg", F.avg_pool2d)])
@pytest.mark.parametrize("size", [(16, 24), (17, 23)], ids=str)
def test_activations_are_those_of_a_plain_implementation(weights, pooling, pool, size):
    image = torch.rand(1, 3, *size)
    for name, activation in VggFeatures(LAYERS, weights, pooling)(image).items():
        torch.testing.assert_close(activation, restated(image, weights, name, pool=pool), rtol=1e-3, atol=1e-4)


def test_max_pooling_is_the_default(weights, image):
    default, average = (VggFeatures(["relu2_1"], weights, *pooling)(image)["relu2_1"] for pooling in ([], ["avg"]))
    torch.testing.assert_close(default, restated(image, weights, "relu2_1"), rtol=1e-3, atol=1e-4)
    assert not torch.allclose(default, average, atol=1e-2)


@pytest.mark.parametrize("order", [LAYERS, LAYERS[::-1], set(LAYERS), dict.fromkeys(LAYERS[2:] + LAYERS[:2], 1.0)])
def test_the_order_of_the_layers_is_irrelevant(weights, image, order):
    in_order = VggFeatures(LAYERS, weights)(image)
    activations = VggFeatures(order, weights)(image, order)
    assert activations.keys() == in_order.keys()
    for name in LAYERS:
        assert torch.equal(activations[name], in_order[name])


@pytest.mark.parametrize(("layers", "highest"), [(["relu1_2", "relu1_1"], "relu1_2"), (["relu3_3"], "relu3_3")])
def test_nothing_is_built_above_the_highest_layer(weights, layers, highest):
    network = VggFeatures(layers, weights)
    modules = VGG19_LAYERS[highest].index + 2  # its convolution, and the ReLU behind it
    assert len(network.features) == modules
    assert isinstance(network.features[-1], nn.ReLU)


@pytest.mark.parametrize(("wanted", "convolutions"), [(["relu1_1"], 1), (["relu2_1", "relu1_1"], 3), (None, 7)])
def test_nothing_is_computed_above_the_highest_layer_asked_for(weights, image, wanted, convolutions):
    network, ran = VggFeatures(LAYERS, weights), []
    for module in network.features:
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda module, inputs, out: ran.append(module))
    activations = network(image, wanted)
    assert len(ran) == convolutions
    assert set(activations) == set(wanted or LAYERS)


def test_images_are_normalized_by_imagenets_mean_and_deviation():
    kernel = torch.zeros(64, 3, 3, 3)
    kernel[[0, 1, 2], [0, 1, 2], 1, 1] = 1  # the first three channels show the input
    weights = {"features.0.weight": kernel, "features.0.bias": torch.full((64,), 2.5)}
    activations = VggFeatures(["relu1_1"], weights)(torch.tensor([0.0, 0.5, 1.0]).view(1, 3, 1, 1))
    seen = activations["relu1_1"][0, :3, 0, 0] - 2.5
    torch.testing.assert_close(seen, torch.tensor([-0.485 / 0.229, 0.044 / 0.224, 0.594 / 0.225]))


def test_a_flat_image_has_flat_first_activations_up_to_the_border(weights):
    flat = torch.tensor([0.9, 0.1, 0.6]).view(1, 3, 1, 1).expand(1, 3, 12, 12)
    activation = VggFeatures(["relu1_1"], weights)(flat)["relu1_1"]
    torch.testing.assert_close(activation, activation[..., 6:7, 6:7].expand_as(activation))
    with_zeros = restated(flat, weights, "relu1_1", first_padding="constant")
    assert not torch.allclose(with_zeros, activation, atol=1e-2)  # what the padding is for


def test_the_loss_network_is_fixed_but_lets_gradients_through_to_the_image(weights, image):
    network = VggFeatures(["relu1_2"], weights)
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())
    network(image.requires_grad_())["relu1_2"].sum().backward()
    assert image.grad.abs().sum() > 0


def test_half_precision_weights_are_accepted(weights, image):
    halves = {name: tensor.half() for name, tensor in weights.items()}
    activation = VggFeatures(["relu1_1"], halves)(image)["relu1_1"]
    assert activation.dtype == torch.float32
    rounded = {name: tensor.float() for name, tensor in halves.items()}
    torch.testing.assert_close(activation, restated(image, rounded, "relu1_1"), rtol=1e-3, atol=1e-4)


def test_a_layer_above_the_weights_is_rejected_and_the_highest_available_named(weights):
    with pytest.raises(LossWeightsError) as caught:
        VggFeatures(["relu1_1", "relu4_1"], weights)
    assert "relu3_3" in f"{caught.value.message} {caught.value.hint}"
    assert "relu4_1" in caught.value.message


@pytest.mark.parametrize(
    ("absent", "highest"),
    [("features.34.bias", "relu5_3"), ("features.5.weight", "relu1_2"), ("features.2.bias", "relu1_1")],
)
def test_weights_reach_up_to_their_first_gap(absent, highest):
    names = {name for convolution in VGG19_LAYERS.values() for name in convolution.shapes}
    assert highest_layer(names) == "relu5_4"
    assert highest_layer(names - {absent}) == highest


@pytest.mark.parametrize("names", [set(), {"features.2.weight"}, {"features.0.weight"}, {"conv1_1.weight"}], ids=str)
def test_weights_without_the_first_convolution_are_not_vgg19s(names):
    with pytest.raises(LossWeightsError, match="Not VGG-19"):
        highest_layer(names)


def test_an_unknown_layer_is_rejected(weights):
    with pytest.raises(ConfigError, match="'relu3_5'"):
        VggFeatures(["relu1_1", "relu3_5"], weights)


@pytest.mark.parametrize("name", ["features.0.weight", "features.5.bias"])
def test_weights_of_wrong_shape_are_rejected_by_name(weights, name):
    with pytest.raises(LossWeightsError, match=name):
        VggFeatures(["relu2_1"], {**weights, name: weights[name][:-1]})


def test_weights_of_other_layers_are_ignored(weights):
    VggFeatures(["relu1_1"], {**weights, "features.5.weight": torch.zeros(1)})


def test_real_weights_give_the_plain_networks_activations_away_from_the_border(shared):
    """With zero padding as in torchvision, so that only the border may differ."""
    weights = load_file(shared / "weights" / "vgg19_relu4_1.safetensors")
    with Image.open(shared / "expected" / "tajmahal.png") as photo:
        pixels = np.asarray(photo.convert("RGB").crop((100, 60, 164, 108)), np.float32) / 255
    image = torch.from_numpy(pixels).permute(2, 0, 1)[None]
    activation = VggFeatures(["relu3_1"], weights)(image)["relu3_1"][..., 4:-4, 4:-4]
    expected = restated(image, weights, "relu3_1", first_padding="constant")[..., 4:-4, 4:-4]
    assert activation.shape == (1, 256, 4, 8)
    assert expected.max() > 1
    torch.testing.assert_close(activation, expected, rtol=1e-3, atol=1e-3)

"""Parameter names and shapes without torch, compared with the networks themselves."""

import math

import pytest
import torch

from stylekit.errors import ConfigError
from stylekit.losses.layers import VGG19_LAYERS, check_loss_layers
from stylekit.networks import architecture
from stylekit.networks.fast.facts import fast_border
from stylekit.networks.shapes import SIDE_MULTIPLE, TILE_MULTIPLE

SMALL = {"channels": 8, "blocks": 2, "half_channels": 6, "full_channels": 4}


@pytest.mark.parametrize(
    ("network", "config"),
    [("fast", {}), ("fast", SMALL), ("fast", {"channels": 1, "blocks": 1}), ("johnson", {})],
)
def test_shapes_are_those_of_the_torch_network(network, config):
    state = architecture(network).build(config).state_dict()
    assert architecture(network).parameter_shapes(config) == {
        name: tuple(tensor.shape) for name, tensor in state.items()
    }


def test_johnson_has_as_many_parameters_as_the_published_network():
    assert sum(math.prod(shape) for shape in architecture("johnson").parameter_shapes({}).values()) == 1_679_235


def test_johnson_is_named_as_in_pytorch_examples():
    shapes = architecture("johnson").parameter_shapes({})
    assert shapes["conv1.conv2d.weight"] == (32, 3, 9, 9)
    assert shapes["res1.conv1.conv2d.weight"] == (128, 128, 3, 3)
    assert shapes["in5.bias"] == (32,)
    assert shapes["deconv3.conv2d.bias"] == (3,)


def test_missing_settings_are_filled_in_and_the_defaults_stay_as_they_are():
    before = dict(architecture("fast").defaults)
    assert architecture("fast").complete({"blocks": 2}) == {**before, "blocks": 2}
    assert architecture("fast").defaults == before
    assert architecture("johnson").complete({}) == {}


@pytest.mark.parametrize("value", [1, 1024])
def test_settings_at_the_ends_of_their_range_are_valid(value):
    assert architecture("fast").complete({"channels": value})["channels"] == value


@pytest.mark.parametrize("value", [0, -1, 1025, True, 8.0, "8", None, [8]], ids=repr)
@pytest.mark.parametrize("method", ["complete", "parameter_shapes", "build"])
def test_settings_of_wrong_type_or_range_are_refused(method, value):
    with pytest.raises(ConfigError, match="channels must be a whole number from 1 to 1024"):
        getattr(architecture("fast"), method)({"channels": value})


@pytest.mark.parametrize(("network", "setting"), [("fast", "depth"), ("johnson", "channels")])
def test_unknown_settings_are_refused(network, setting):
    with pytest.raises(ConfigError, match=f"no setting '{setting}'"):
        architecture(network).complete({setting: 8})


def test_unknown_networks_are_refused_and_the_known_ones_named():
    with pytest.raises(ConfigError, match="Unknown network 'resnet'") as caught:
        architecture("resnet")
    assert "fast, johnson" in caught.value.hint


@pytest.mark.parametrize("blocks", [1, 3])
def test_the_border_of_fast_covers_its_receptive_radius_and_fits_its_cells(blocks):
    radius = architecture("fast").receptive_radius({"blocks": blocks})
    assert fast_border(blocks) <= radius < fast_border(blocks) + TILE_MULTIPLE
    assert fast_border(blocks) % SIDE_MULTIPLE == 0


def test_vgg19_has_its_sixteen_layers_from_low_to_high():
    assert list(VGG19_LAYERS) == [
        *("relu1_1", "relu1_2", "relu2_1", "relu2_2"),
        *("relu3_1", "relu3_2", "relu3_3", "relu3_4"),
        *("relu4_1", "relu4_2", "relu4_3", "relu4_4"),
        *("relu5_1", "relu5_2", "relu5_3", "relu5_4"),
    ]


def test_vgg19_agrees_with_torchvision():
    from torchvision.models import vgg19

    with torch.device("meta"):
        features = vgg19(weights=None, init_weights=False).features
    convolutions = [index for index, module in enumerate(features) if isinstance(module, torch.nn.Conv2d)]
    assert [convolution.index for convolution in VGG19_LAYERS.values()] == convolutions
    assert all(isinstance(features[index + 1], torch.nn.ReLU) for index in convolutions)
    theirs = {f"features.{name}": tuple(tensor.shape) for name, tensor in features.state_dict().items()}
    ours = {name: shape for convolution in VGG19_LAYERS.values() for name, shape in convolution.shapes.items()}
    assert ours == theirs


@pytest.mark.parametrize("layers", [("relu1_1", "relu6_1"), {"relu1_1": 1.0, "relu6_1": 0.5}], ids=["tuple", "mapping"])
def test_an_unknown_layer_of_vgg19_is_named_together_with_the_known_ones(layers):
    with pytest.raises(ConfigError, match="'relu6_1'") as caught:
        check_loss_layers(layers)
    assert "relu1_1" in caught.value.hint
    assert "relu5_4" in caught.value.hint


def test_layers_that_vgg19_has_pass():
    check_loss_layers(tuple(VGG19_LAYERS))

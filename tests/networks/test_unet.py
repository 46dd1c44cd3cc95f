"""The U-shaped network: sizes, ranges, its graph, its cost and how far it sees."""

import numpy as np
import onnxruntime
import pytest
import torch

from stylekit.engines import build_engine
from stylekit.networks import architecture
from stylekit.styles.style_file import StyleFile, StyleMetadata
from stylekit.stylization.tiling import paint

UNET = architecture("unet")
TINY = {
    "channels": 4,
    "eighth_channels": 5,
    "sixteenth_channels": 6,
    "sixteenth_blocks": 2,
    "half_channels": 3,
    "full_channels": 2,
}


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    network = UNET.build(TINY).eval().requires_grad_(False)
    for parameter in network.parameters():
        fan_in = parameter[0].numel() if parameter.ndim == 4 else 1
        parameter.copy_(torch.randn(parameter.shape) / fan_in**0.5)
    return network


def weights_of(network):
    return {name: tensor.numpy() for name, tensor in network.state_dict().items()}


@pytest.mark.parametrize("config", [{}, TINY], ids=["default", "tiny"])
def test_shapes_are_those_of_the_network_that_is_built(config):
    state = UNET.build(config).state_dict()
    assert UNET.parameter_shapes(config) == {name: tuple(tensor.shape) for name, tensor in state.items()}
    norms = [name for name, module in UNET.build(config).named_modules() if isinstance(module, torch.nn.InstanceNorm2d)]
    assert sorted(UNET.norm_names(config)) == sorted(norms)


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (7, 9), (16, 16), (33, 50)], ids=str)
def test_an_image_of_any_size_keeps_it_and_the_graph_paints_as_torch_does(network, size):
    photo = torch.rand(2, 3, *size)
    painted = network(photo)
    assert painted.shape == photo.shape
    assert 0 <= painted.min() <= painted.max() <= 1
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    model = UNET.onnx_model(TINY, weights_of(network)).SerializeToString()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    (graph,) = session.run(None, {"photo": photo.numpy()})
    np.testing.assert_allclose(graph, painted.numpy(), atol=1e-4)


def test_norms_run_in_the_order_of_their_names(network):
    ran = []
    hooks = [
        module.register_forward_hook(lambda module, inputs, out, name=name: ran.append(name))
        for name, module in network.named_modules()
        if isinstance(module, torch.nn.InstanceNorm2d)
    ]
    network(torch.rand(1, 3, 16, 16))
    for hook in hooks:
        hook.remove()
    assert tuple(ran) == UNET.norm_names(TINY)


def test_a_pixel_changes_nothing_beyond_the_radius(network):
    """Normalizations aside: fixed ones stand in for them."""
    fixed = UNET.build(TINY).double().eval().requires_grad_(False)
    fixed.load_state_dict({name: tensor.double() for name, tensor in network.state_dict().items()})
    for name in UNET.norm_names(TINY):
        (channels,) = UNET.parameter_shapes(TINY)[f"{name}.weight"]
        norm = torch.nn.BatchNorm2d(channels).double().eval()
        fixed.set_submodule(name, norm)
    radius = UNET.receptive_radius(TINY)
    photo = torch.rand(1, 3, 16, 2 * radius + 64, dtype=torch.float64)
    changed = photo.clone()
    middle = photo.shape[-1] // 2
    changed[..., middle] = 1 - changed[..., middle]
    difference = (fixed(photo) - fixed(changed)).abs().amax((0, 1, 2))
    seen = difference.nonzero().flatten()
    assert middle - radius <= seen.min()
    assert seen.max() <= middle + radius
    assert seen.max() - seen.min() > radius  # or the radius would be far too wide


def test_multiply_adds_per_pixel_are_as_counted_by_hand():
    counted = []
    network = UNET.build().to("meta")
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(lambda m, inputs, out: counted.append(m.weight.numel() * out[0, 0].numel()))
    side = 160_000
    network(torch.rand(1, 3, side, side, device="meta"))
    quarter = 48 * 64 + 4 * 64 * 64 + 64 * 32
    eighth = 64 * 80 + 4 * 80 * 80 + 80 * 64
    sixteenth = 80 * 112 + 8 * 112 * 112 + 112 * 80
    expected = 9 * (quarter / 16 + eighth / 64 + sixteenth / 256 + (32 * 32 + 32 * 16) / 4 + 16 * 3)
    assert sum(counted) == pytest.approx(expected * side**2, rel=1e-3)
    assert expected < 28_000


@pytest.mark.parametrize("name", ["onnxruntime", "torch"])
def test_tiles_match_one_piece(network, name, make_photo):
    style = StyleFile(StyleMetadata(name="small", network="unet", network_config=TINY), weights_of(network))
    engine = build_engine(style, device="cpu", engine=name, threads=1)
    photo = np.asarray(make_photo(141, 330))
    (whole,), (tiled,) = paint(engine, [photo], 0), paint(engine, [photo], 64)
    assert np.abs(whole.astype(int) - tiled).max() <= 1
    assert whole.std() > 1  # or there would be little to compare

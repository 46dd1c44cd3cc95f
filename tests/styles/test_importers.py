"""Weights of other programs are imported exactly, and never executed."""

import os
import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from stylekit.errors import StyleFileError
from stylekit.networks import architecture
from stylekit.networks.checkpoints import read_pth
from stylekit.styles.importers import import_weights
from stylekit.styles.library import read_style
from stylekit.styles.style_file import save_style_file
from stylekit.training.run_folder import pack_state


@pytest.fixture(scope="module")
def johnson():
    """Random weights of `johnson` as a state dict."""
    random = torch.Generator().manual_seed(0)
    return {
        name: torch.randn(shape, generator=random)
        for name, shape in architecture("johnson").parameter_shapes({}).items()
    }


@pytest.fixture
def pth(tmp_path):
    """Save anything as a `.pth` file."""

    def save(content, name="weights.pth", **options):
        torch.save(content, tmp_path / name, **options)
        return tmp_path / name

    return save


class Bomb:
    """Unpickled, it creates a file."""

    def __init__(self, path, how):
        self.path, self.how = path, how

    def __reduce__(self):
        return {"call": (Path.touch, (self.path,)), "shell": (os.system, (f"touch '{self.path}'",))}[self.how]


def with_running_statistics(state):
    extra: dict[str, torch.Tensor] = {}
    for norm in {
        name.rpartition(".")[0] for name, tensor in state.items() if tensor.ndim == 1 and ".conv2d" not in name
    }:
        channels = len(state[f"{norm}.weight"])
        extra |= {f"{norm}.running_mean": torch.zeros(channels), f"{norm}.running_var": torch.ones(channels)}
        extra[f"{norm}.num_batches_tracked"] = torch.tensor(7)
    return {**state, **extra}


def with_prefix(state, prefix="module."):
    return {f"{prefix}{name}": tensor for name, tensor in state.items()}


def in_a_larger_model(state):
    return {**with_prefix(state, "transformer."), "loss.features.0.weight": torch.zeros(64, 3, 3, 3)}


FORMS = {
    "plain": lambda state: state,
    "ordered": OrderedDict,
    "wrapped": lambda state: {"state_dict": state},
    "wrapped by another name": lambda state: {"model_state_dict": state, "epoch": 2},
    "whole checkpoint": lambda state: {"model": {"w": 1}, "epoch": 2, "loss": 0.5, "state_dict": state},
    "wrapped as a net": lambda state: {"net": state, "lr": 0.1},
    "wrapped as a generator": lambda state: {"generator": state, "discriminator": {"a": torch.zeros(2)}},
    "wrapped twice": lambda state: {"model": {"state_dict": state}},
    "of a parallel module": with_prefix,
    "of a parallel module in another": lambda state: with_prefix(state, "module.module."),
    "of a compiled module": lambda state: with_prefix(state, "_orig_mod."),
    "of a compiled parallel module": lambda state: with_prefix(state, "_orig_mod.module."),
    "of Lightning": lambda state: {"epoch": 3, "global_step": 9, "state_dict": with_prefix(state, "model.")},
    "in a larger model": in_a_larger_model,
    "with running statistics": with_running_statistics,
    "all at once": lambda state: {"state_dict": with_prefix(with_running_statistics(state))},
    "parameters": lambda state: {name: nn.Parameter(tensor) for name, tensor in state.items()},
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_weights_are_imported_exactly_in_all_forms_in_which_they_are_published(johnson, pth, form):
    style = import_weights(pth(form(johnson)), "candy")
    assert (style.metadata.name, style.metadata.network, style.metadata.source) == ("candy", "johnson", "weights.pth")
    assert style.weights.keys() == johnson.keys()
    for name, tensor in johnson.items():
        np.testing.assert_array_equal(style.weights[name], tensor.numpy(), strict=True)


def test_files_of_torch_before_1_6_are_read(johnson, pth):
    style = import_weights(pth(johnson, _use_new_zipfile_serialization=False), "candy")
    np.testing.assert_array_equal(style.weights["in1.bias"], johnson["in1.bias"])


@pytest.mark.parametrize("name", ["weights.pt", "WEIGHTS.PTH", "best.pth.tar", "last.ckpt", "epoch_2_Mon_1e5.model"])
def test_other_suffixes_of_pytorch_files_are_imported(johnson, pth, name):
    path = pth(johnson, name)
    assert import_weights(path, "candy").metadata.source == name
    assert read_style(path).metadata.network == "johnson"


def test_weights_as_safetensors_are_imported(johnson, tmp_path):
    path = tmp_path / "weights.safetensors"
    safetensors.torch.save_file(with_prefix(johnson), path, metadata={"format": "pt"})
    style = read_style(path)
    assert (style.metadata.name, style.metadata.network, style.metadata.source) == ("weights", "johnson", path.name)
    np.testing.assert_array_equal(style.weights["in1.bias"], johnson["in1.bias"])


def test_weights_of_fast_are_recognized(pth):
    state = {name: torch.zeros(shape) for name, shape in architecture("fast").parameter_shapes({}).items()}
    assert import_weights(pth(state), "mine").metadata.network == "fast"


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64], ids=str)
def test_imported_weights_keep_their_type(johnson, pth, dtype):
    style = import_weights(pth({name: tensor.to(dtype) for name, tensor in johnson.items()}), "candy")
    for name, tensor in johnson.items():
        np.testing.assert_array_equal(style.weights[name], tensor.to(dtype).numpy(), strict=True)


def test_bfloat16_which_numpy_lacks_becomes_float32(johnson, pth):
    style = import_weights(pth({name: tensor.bfloat16() for name, tensor in johnson.items()}), "candy")
    np.testing.assert_array_equal(
        style.weights["in1.bias"], johnson["in1.bias"].bfloat16().float().numpy(), strict=True
    )


def test_views_into_a_larger_tensor_are_read_in_order(pth):
    tensor = torch.arange(12.0).view(3, 4)
    read = read_pth(pth({"turned": tensor.T, "part": tensor[1:, ::2], "repeated": torch.ones(1).expand(3)}))
    np.testing.assert_array_equal(read["turned"], tensor.numpy().T)
    np.testing.assert_array_equal(read["part"], [[4, 6], [8, 10]])
    np.testing.assert_array_equal(read["repeated"], [1, 1, 1])


@pytest.mark.parametrize("how", ["call", "shell"])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda bomb: bomb,
        lambda bomb: {"state_dict": bomb},
        lambda bomb: {"conv1.conv2d.bias": torch.zeros(2), "x": bomb},
    ],
    ids=["bare", "wrapped", "among weights"],
)
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_code_in_a_file_is_not_run(pth, tmp_path, how, wrap, zipped):
    trace = tmp_path / "exploded"
    path = pth(wrap(Bomb(trace, how)), _use_new_zipfile_serialization=zipped)
    with pytest.raises(StyleFileError, match="contains code"):
        import_weights(path, "candy")
    assert not trace.exists()


def test_a_bare_pickle_is_not_run(tmp_path):
    path, trace = tmp_path / "bomb.pth", tmp_path / "exploded"
    path.write_bytes(pickle.dumps(Bomb(trace, "call"), protocol=2))
    with pytest.raises(StyleFileError, match=str(path)):
        import_weights(path, "candy")
    assert not trace.exists()


def test_a_whole_module_is_refused_as_code(pth):
    with pytest.raises(StyleFileError, match="contains code"):
        read_pth(pth(nn.Linear(2, 2)))


NOT_STATE_DICTS = {
    "list": [torch.zeros(2)],
    "tensor": torch.zeros(2),
    "number": 3.5,
    "none": None,
    "numbers": {"conv1.conv2d.bias": 0.5},
    "text": {"conv1.conv2d.bias": "0.5"},
    "nested": {"conv1": {"conv2d.bias": torch.zeros(32)}},
    "some not tensors": {"conv1.conv2d.bias": torch.zeros(32), "epoch": 3},
    "wrapped list": {"state_dict": [torch.zeros(2)]},
}


@pytest.mark.parametrize("content", NOT_STATE_DICTS.values(), ids=NOT_STATE_DICTS)
def test_a_file_without_a_state_dict_is_refused_by_name(pth, content):
    path = pth(content)
    with pytest.raises(StyleFileError, match="is not a state dict") as caught:
        import_weights(path, "candy")
    assert str(path) in caught.value.message


STRANGE_TENSORS = {
    "sparse": lambda: torch.eye(32).to_sparse(),
    "meta": lambda: torch.zeros(32, device="meta"),
    "conjugate": lambda: torch.zeros(32, dtype=torch.complex64).conj(),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("tensor", STRANGE_TENSORS.values(), ids=STRANGE_TENSORS)
def test_tensors_that_are_not_plain_arrays_are_refused(johnson, pth, tensor):
    with pytest.raises(StyleFileError):
        import_weights(pth({**johnson, "conv1.conv2d.bias": tensor()}), "candy")


@pytest.mark.parametrize(
    "content",
    [b"", b"garbage" * 100, b"PK\x03\x04" + b"\0" * 100, b"\x80\x02}q\x00", b"<!DOCTYPE html><title>404</title>"],
    ids=["empty", "garbage", "broken zip", "cut pickle", "web page"],
)
def test_a_corrupt_file_is_refused_by_name(tmp_path, content):
    path = tmp_path / "broken.pth"
    path.write_bytes(content)
    with pytest.raises(StyleFileError, match="corrupt, or not a PyTorch file") as caught:
        import_weights(path, "candy")
    assert str(path) in caught.value.message


def test_a_file_cut_short_is_refused(johnson, pth):
    path = pth(johnson)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(StyleFileError, match="corrupt"):
        import_weights(path, "candy")


@pytest.mark.parametrize("name", ["absent.pth", "folder.pth"])
def test_a_missing_file_or_a_folder_is_refused_by_name(tmp_path, name):
    (tmp_path / "folder.pth").mkdir()
    with pytest.raises(StyleFileError, match=name):
        import_weights(tmp_path / name, "candy")


@pytest.mark.parametrize("name", ["candy", "candy.pth.zip", "candy.tar", "candy.h5"])
def test_other_suffixes_are_refused_before_the_file_is_opened(tmp_path, name):
    with pytest.raises(StyleFileError, match="suffix"):
        import_weights(tmp_path / name, "candy")


OTHER_NETWORKS = {
    "numbered": {0: torch.zeros(2)},
    "empty": {},
    "only statistics": {"in1.running_mean": torch.zeros(32)},
}


@pytest.mark.parametrize("state", OTHER_NETWORKS.values(), ids=OTHER_NETWORKS)
def test_weights_of_other_networks_are_refused(pth, state):
    with pytest.raises(StyleFileError, match="do not match any network"):
        import_weights(pth(state), "candy")


WRONG_WEIGHTS = {
    "missing": ({"in5.bias": None}, "Missing weights for johnson: in5.bias"),
    "unknown": ({"extra.bias": torch.zeros(2)}, "Unexpected weights for johnson: extra.bias"),
    "wrong shape": ({"deconv3.conv2d.bias": torch.zeros(4)}, "deconv3.conv2d.bias has shape"),
    "scalar": ({"deconv3.conv2d.bias": torch.tensor(1.0)}, "deconv3.conv2d.bias has shape"),
    "integers": ({"in1.bias": torch.zeros(32, dtype=torch.int64)}, "in1.bias has int64 values"),
    "not finite": ({"in1.bias": torch.full((32,), torch.nan)}, "in1.bias has values that are not finite"),
}


@pytest.mark.parametrize(("change", "message"), WRONG_WEIGHTS.values(), ids=WRONG_WEIGHTS)
def test_weights_that_are_not_quite_the_networks_are_refused(johnson, pth, change, message):
    state = {name: tensor for name, tensor in {**johnson, **change}.items() if tensor is not None}
    with pytest.raises(StyleFileError, match=message):
        import_weights(pth(state), "candy")


@pytest.mark.parametrize("name", ["vgg19.pth", "vgg19.safetensors"])
def test_weights_of_a_loss_network_are_recognized_and_sent_to_the_training(tmp_path, name):
    state = {"features.0.weight": torch.zeros(64, 3, 3, 3), "features.0.bias": torch.zeros(64)}
    path = tmp_path / name
    safetensors.torch.save_file(state, path) if path.suffix == ".safetensors" else torch.save(state, path)
    with pytest.raises(StyleFileError, match="loss network") as caught:
        read_style(path)
    assert f"--loss-weights {path}" in caught.value.hint


@pytest.mark.parametrize("finished", [True, False])
def test_a_checkpoint_of_stylekits_training_is_recognized(johnson, small_style, tmp_path, finished):
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(pack_state(with_prefix(johnson, "network."), {"step": 3}))
    if finished:
        save_style_file(small_style, tmp_path / "wave.safetensors")
    with pytest.raises(StyleFileError, match="is a checkpoint of an unfinished training") as caught:
        read_style(path)
    assert (f"styles import {tmp_path / 'wave.safetensors'}" if finished else "--resume") in caught.value.hint


@pytest.mark.parametrize("name", ["a.pth", "a.onnx", "a.safetensors"])
def test_a_file_without_permission_is_not_called_corrupt(johnson, pth, without_permission, name):
    path = pth(johnson, name)
    without_permission(path)
    with pytest.raises(StyleFileError, match=f"Cannot read {path}: Permission denied") as caught:
        read_style(path)
    assert caught.value.hint == "Check its permissions."

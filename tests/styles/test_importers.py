"""Weights of other programs: taken over exactly, and never executed."""

import os
import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from stylekit.errors import StyleFileError
from stylekit.networks import architecture
from stylekit.networks.checkpoints import read_pth
from stylekit.styles.importers import import_weights


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
    """Save whatever as a `.pth` file."""

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
    extra = {}
    for norm in {
        name.rpartition(".")[0] for name, tensor in state.items() if tensor.ndim == 1 and ".conv2d" not in name
    }:
        channels = len(state[f"{norm}.weight"])
        extra |= {f"{norm}.running_mean": torch.zeros(channels), f"{norm}.running_var": torch.ones(channels)}
        extra[f"{norm}.num_batches_tracked"] = torch.tensor(7)
    return {**state, **extra}


def with_prefix(state):
    return {f"module.{name}": tensor for name, tensor in state.items()}


FORMS = {
    "plain": lambda state: state,
    "ordered": OrderedDict,
    "wrapped": lambda state: {"state_dict": state},
    "wrapped by another name": lambda state: {"model_state_dict": state, "epoch": 2},
    "whole checkpoint": lambda state: {"model": {"w": 1}, "epoch": 2, "loss": 0.5, "state_dict": state},
    "of a parallel module": with_prefix,
    "with running statistics": with_running_statistics,
    "all at once": lambda state: {"state_dict": with_prefix(with_running_statistics(state))},
    "parameters": lambda state: {name: nn.Parameter(tensor) for name, tensor in state.items()},
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_weights_are_taken_over_exactly_in_all_forms_they_are_published_in(johnson, pth, form):
    style = import_weights(pth(form(johnson)), "candy")
    assert (style.metadata.name, style.metadata.network, style.metadata.source) == ("candy", "johnson", "weights.pth")
    assert style.weights.keys() == johnson.keys()
    for name, tensor in johnson.items():
        np.testing.assert_array_equal(style.weights[name], tensor.numpy(), strict=True)


def test_files_of_torch_before_1_6_are_read(johnson, pth):
    style = import_weights(pth(johnson, _use_new_zipfile_serialization=False), "candy")
    np.testing.assert_array_equal(style.weights["in1.bias"], johnson["in1.bias"])


@pytest.mark.parametrize("name", ["weights.pt", "WEIGHTS.PTH"])
def test_other_spellings_of_the_suffix_are_taken(johnson, pth, name):
    assert import_weights(pth(johnson, name), "candy").metadata.source == name


def test_weights_of_fast_are_recognised(pth):
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
    with pytest.raises(StyleFileError, match="holds code"):
        import_weights(path, "candy")
    assert not trace.exists()


def test_a_bare_pickle_is_not_run(tmp_path):
    path, trace = tmp_path / "bomb.pth", tmp_path / "exploded"
    path.write_bytes(pickle.dumps(Bomb(trace, "call"), protocol=2))
    with pytest.raises(StyleFileError, match=str(path)):
        import_weights(path, "candy")
    assert not trace.exists()


def test_a_whole_module_is_refused_as_code(pth):
    with pytest.raises(StyleFileError, match="holds code"):
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
def test_what_is_no_state_dict_is_refused_by_name(pth, content):
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
def test_tensors_that_are_no_plain_arrays_are_refused(johnson, pth, tensor):
    with pytest.raises(StyleFileError):
        import_weights(pth({**johnson, "conv1.conv2d.bias": tensor()}), "candy")


@pytest.mark.parametrize(
    "content",
    [b"", b"garbage" * 100, b"PK\x03\x04" + b"\0" * 100, b"\x80\x02}q\x00", b"<!DOCTYPE html><title>404</title>"],
    ids=["empty", "garbage", "broken zip", "cut pickle", "web page"],
)
def test_a_damaged_file_is_refused_by_name(tmp_path, content):
    path = tmp_path / "broken.pth"
    path.write_bytes(content)
    with pytest.raises(StyleFileError, match="damaged or no PyTorch file") as caught:
        import_weights(path, "candy")
    assert str(path) in caught.value.message


def test_a_file_cut_short_is_refused(johnson, pth):
    path = pth(johnson)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(StyleFileError, match="damaged"):
        import_weights(path, "candy")


@pytest.mark.parametrize("name", ["absent.pth", "folder.pth"])
def test_what_is_no_file_is_refused_by_name(tmp_path, name):
    (tmp_path / "folder.pth").mkdir()
    with pytest.raises(StyleFileError, match=name):
        import_weights(tmp_path / name, "candy")


@pytest.mark.parametrize("name", ["candy.onnx", "candy.ckpt", "candy", "candy.pth.zip"])
def test_other_suffixes_are_refused_before_the_file_is_opened(tmp_path, name):
    with pytest.raises(StyleFileError, match="suffix"):
        import_weights(tmp_path / name, "candy")


OTHER_NETWORKS = {
    "VGG-19": {"features.0.weight": torch.zeros(64, 3, 3, 3), "features.0.bias": torch.zeros(64)},
    "numbered": {0: torch.zeros(2)},
    "empty": {},
    "only statistics": {"in1.running_mean": torch.zeros(32)},
}


@pytest.mark.parametrize("state", OTHER_NETWORKS.values(), ids=OTHER_NETWORKS)
def test_weights_of_other_networks_are_refused(pth, state):
    with pytest.raises(StyleFileError, match="belong to none of the networks"):
        import_weights(pth(state), "candy")


WRONG_WEIGHTS = {
    "missing": ({"in5.bias": None}, "are missing: in5.bias"),
    "unknown": ({"extra.bias": torch.zeros(2)}, "does not know: extra.bias"),
    "wrong shape": ({"deconv3.conv2d.bias": torch.zeros(4)}, "deconv3.conv2d.bias has the shape"),
    "scalar": ({"deconv3.conv2d.bias": torch.tensor(1.0)}, "deconv3.conv2d.bias has the shape"),
    "integers": ({"in1.bias": torch.zeros(32, dtype=torch.int64)}, "in1.bias holds int64 values"),
    "not finite": ({"in1.bias": torch.full((32,), torch.nan)}, "in1.bias holds values that are not finite"),
}


@pytest.mark.parametrize(("change", "message"), WRONG_WEIGHTS.values(), ids=WRONG_WEIGHTS)
def test_weights_that_are_not_quite_the_networks_are_refused(johnson, pth, change, message):
    state = {name: tensor for name, tensor in {**johnson, **change}.items() if tensor is not None}
    with pytest.raises(StyleFileError, match=message):
        import_weights(pth(state), "candy")

"""Where VGG-19's weights come from: a file of the user's, the cache, the network; only convolutions are kept."""

import hashlib
import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch

from local_server import serve
from stylekit.errors import LossWeightsError
from stylekit.losses import weights as loss_weights
from stylekit.losses.weights import find_loss_weights, loss_weights_path, read_loss_weights
from stylekit.system.paths import cache_dir

FIRST = {
    "features.0.weight": np.arange(1728, dtype=np.float32).reshape(64, 3, 3, 3),
    "features.0.bias": np.ones(64, np.float32),
}
FIRST_TENSORS = {name: torch.from_numpy(array) for name, array in FIRST.items()}
CLASSIFIER = {"classifier.0.weight": torch.zeros(4, 4), "classifier.0.bias": torch.zeros(4)}


def as_pth(state):
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


@pytest.fixture
def published(monkeypatch):
    """A server that has what torchvision publishes: a small `.pth` with a classifier."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    content = as_pth({**FIRST_TENSORS, **CLASSIFIER})
    with serve() as server:
        monkeypatch.setattr(loss_weights, "VGG19_URL", server.put("/models/vgg19-small.pth", content))
        monkeypatch.setattr(loss_weights, "VGG19_SHA256", hashlib.sha256(content).hexdigest())
        yield server


def assert_first_convolution(weights):
    assert weights.keys() == FIRST.keys()
    for name, array in FIRST.items():
        np.testing.assert_array_equal(weights[name], array, strict=True)


def cached_files():
    return sorted(path.name for path in cache_dir().rglob("*") if path.is_file())


@pytest.mark.parametrize("name", ["mine.safetensors", "mine.pth"])
def test_a_given_file_is_taken_and_its_classifier_left_out(tmp_path, name):
    path, state = tmp_path / name, {**FIRST_TENSORS, **CLASSIFIER}
    safetensors.torch.save_file(state, path) if path.suffix == ".safetensors" else path.write_bytes(as_pth(state))
    assert find_loss_weights(path) == path
    assert_first_convolution(read_loss_weights(path))


@pytest.mark.parametrize(
    ("name", "dtype"),
    [(name, dtype) for name in ("mine.safetensors", "mine.pth") for dtype in (torch.float16, torch.float64)]
    + [("mine.pth", torch.bfloat16)],
    ids=str,
)
def test_weights_of_other_precisions_are_read_as_float32(tmp_path, name, dtype):
    path, state = tmp_path / name, {"features.0.bias": torch.full((64,), 0.5, dtype=dtype)}
    safetensors.torch.save_file(state, path) if path.suffix == ".safetensors" else path.write_bytes(as_pth(state))
    weights = read_loss_weights(path)
    np.testing.assert_array_equal(weights["features.0.bias"], np.full(64, 0.5, np.float32), strict=True)


def test_a_given_file_is_taken_before_the_cache(tmp_path):
    loss_weights_path().parent.mkdir(parents=True)
    safetensors.numpy.save_file(FIRST, loss_weights_path())
    path = tmp_path / "mine.safetensors"
    safetensors.numpy.save_file(FIRST, path)
    assert find_loss_weights(path) == path


@pytest.mark.parametrize("name", ["absent.safetensors", "folder"])
def test_a_given_file_that_is_absent_is_named_and_nothing_downloaded_instead(tmp_path, published, name):
    (tmp_path / "folder").mkdir()
    with pytest.raises(LossWeightsError, match=name):
        find_loss_weights(tmp_path / name)
    assert published.asked == []


@pytest.mark.parametrize("name", ["mine.safetensors", "mine.pth"])
@pytest.mark.parametrize("content", [b"", b"garbage" * 100], ids=["empty", "garbage"])
def test_a_damaged_file_is_refused_by_name(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(LossWeightsError, match=name):
        read_loss_weights(tmp_path / name)


@pytest.mark.parametrize("name", ["mine.safetensors", "mine.pth"])
def test_a_file_without_vgg19s_convolutions_is_refused_by_name(tmp_path, name):
    path = tmp_path / name
    safetensors.torch.save_file(CLASSIFIER, path) if path.suffix == ".safetensors" else path.write_bytes(
        as_pth(CLASSIFIER)
    )
    with pytest.raises(LossWeightsError, match="does not hold VGG-19's convolutions") as caught:
        read_loss_weights(path)
    assert str(path) in caught.value.message


def test_a_cached_file_is_taken_without_a_download(published):
    loss_weights_path().parent.mkdir(parents=True)
    safetensors.numpy.save_file(FIRST, loss_weights_path())
    assert find_loss_weights() == loss_weights_path()
    assert published.asked == []


def test_a_download_is_kept_as_convolutions_only(published):
    assert find_loss_weights() == loss_weights_path()
    assert published.asked == ["/models/vgg19-small.pth"]
    assert cached_files() == ["vgg19.safetensors"]
    assert_first_convolution(safetensors.numpy.load_file(loss_weights_path()))
    assert find_loss_weights() == loss_weights_path()
    assert len(published.asked) == 1


def test_a_published_file_placed_by_hand_is_taken_offline(published, monkeypatch):
    monkeypatch.setenv("STYLEKIT_OFFLINE", "1")
    placed = cache_dir() / "weights" / "vgg19-small.pth"
    placed.parent.mkdir(parents=True)
    placed.write_bytes(published.pages["/models/vgg19-small.pth"][0].body)
    assert_first_convolution(read_loss_weights(find_loss_weights()))
    assert cached_files() == ["vgg19.safetensors"]


@pytest.mark.parametrize("trouble", ["offline", "absent", "replaced"])
def test_without_cache_and_network_one_error_says_how_to_get_the_weights_by_hand(published, monkeypatch, trouble):
    path = "/models/vgg19-small.pth"
    if trouble == "offline":
        monkeypatch.setenv("STYLEKIT_OFFLINE", "1")
    elif trouble == "absent":
        published.put(path, b"gone", status=404)
    else:
        published.put(path, b"something else")
    with pytest.raises(LossWeightsError) as caught:
        find_loss_weights()
    assert {"offline": "STYLEKIT_OFFLINE", "absent": "404", "replaced": "SHA-256"}[trouble] in caught.value.message
    by_hand = str(cache_dir() / "weights" / "vgg19-small.pth")
    for part in (loss_weights.VGG19_URL, "--loss-network compact", "--loss-weights", by_hand):
        assert part in caught.value.hint
    assert cached_files() == []


def test_no_room_for_the_converted_file_is_one_clear_error(published, monkeypatch):
    def fill(*arguments, **settings):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(loss_weights, "save", fill)
    with pytest.raises(LossWeightsError, match="No space left on device"):
        find_loss_weights()
    assert not loss_weights_path().exists()


def test_a_damaged_cached_file_is_fetched_again(published):
    loss_weights_path().parent.mkdir(parents=True)
    loss_weights_path().write_bytes(b"rotten")
    assert_first_convolution(read_loss_weights(find_loss_weights()))
    assert cached_files() == ["vgg19.safetensors"]


def test_two_trainings_that_start_together_fetch_the_weights_once(published):
    with ThreadPoolExecutor(2) as pool:
        for path in pool.map(lambda _: find_loss_weights(), range(2)):
            assert_first_convolution(read_loss_weights(path))
    assert published.asked == ["/models/vgg19-small.pth"]
    assert cached_files() == ["vgg19.safetensors"]

"""VGG-19's weights come from the user's file, the cache or a download; only convolutions are kept."""

import hashlib
import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch

from stylekit.downloads.announcement import Download
from stylekit.errors import LossWeightsError
from stylekit.losses import weights as loss_weights
from stylekit.losses.weights import (
    VGG19_SIZE,
    check_loss_weights,
    find_loss_weights,
    loss_weights_path,
    read_loss_weights,
)
from stylekit.system.paths import cache_dir
from tests.local_server import serve

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
    """Serve what torchvision publishes: here a small `.pth` with a classifier."""
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
def test_a_given_file_is_read_without_its_classifier(tmp_path, name):
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


def test_a_given_file_comes_before_the_cache(tmp_path):
    loss_weights_path().parent.mkdir(parents=True)
    safetensors.numpy.save_file(FIRST, loss_weights_path())
    path = tmp_path / "mine.safetensors"
    safetensors.numpy.save_file(FIRST, path)
    assert find_loss_weights(path) == path


@pytest.mark.parametrize("name", ["absent.safetensors", "folder"])
def test_a_given_file_that_is_missing_is_named_and_not_replaced_by_a_download(tmp_path, published, name):
    (tmp_path / "folder").mkdir()
    with pytest.raises(LossWeightsError, match=name):
        find_loss_weights(tmp_path / name)
    assert published.asked == []


@pytest.mark.parametrize("name", ["mine.safetensors", "mine.pth"])
@pytest.mark.parametrize("content", [b"", b"garbage" * 100], ids=["empty", "garbage"])
def test_a_corrupt_file_is_rejected_by_name(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(LossWeightsError, match=name):
        read_loss_weights(tmp_path / name)


@pytest.mark.parametrize("name", ["mine.safetensors", "mine.pth"])
def test_a_file_without_vgg19s_convolutions_is_rejected_by_name(tmp_path, name):
    path = tmp_path / name
    safetensors.torch.save_file(CLASSIFIER, path) if path.suffix == ".safetensors" else path.write_bytes(
        as_pth(CLASSIFIER)
    )
    with pytest.raises(LossWeightsError, match="does not contain VGG-19's convolutions") as caught:
        read_loss_weights(path)
    assert str(path) in caught.value.message


def test_a_cached_file_needs_no_download(published):
    loss_weights_path().parent.mkdir(parents=True)
    safetensors.numpy.save_file(FIRST, loss_weights_path())
    assert find_loss_weights() == loss_weights_path()
    assert published.asked == []


def test_only_the_convolutions_of_a_download_are_kept(published):
    assert find_loss_weights() == loss_weights_path()
    assert published.asked == ["/models/vgg19-small.pth"]
    assert cached_files() == ["vgg19.safetensors"]
    assert_first_convolution(safetensors.numpy.load_file(loss_weights_path()))
    assert find_loss_weights() == loss_weights_path()
    assert len(published.asked) == 1


def test_a_published_file_moved_into_the_cache_by_hand_is_used_offline(published, monkeypatch):
    monkeypatch.setenv("STYLEKIT_OFFLINE", "1")
    placed = cache_dir() / "weights" / "vgg19-small.pth"
    placed.parent.mkdir(parents=True)
    placed.write_bytes(published.pages["/models/vgg19-small.pth"][0].body)
    assert_first_convolution(read_loss_weights(find_loss_weights()))
    assert cached_files() == ["vgg19.safetensors"]


@pytest.mark.parametrize("trouble", ["offline", "absent", "replaced"])
def test_without_cache_and_network_one_error_explains_how_to_get_the_weights_by_hand(published, monkeypatch, trouble):
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


def test_a_full_disk_is_one_clear_error(published, monkeypatch):
    def fill(*arguments, **settings):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(loss_weights, "save", fill)
    with pytest.raises(LossWeightsError, match="No space left on device"):
        find_loss_weights()
    assert not loss_weights_path().exists()


def test_a_corrupt_cached_file_is_downloaded_again(published):
    loss_weights_path().parent.mkdir(parents=True)
    loss_weights_path().write_bytes(b"rotten")
    assert_first_convolution(read_loss_weights(find_loss_weights()))
    assert cached_files() == ["vgg19.safetensors"]


def test_two_trainings_that_start_together_download_the_weights_once(published):
    with ThreadPoolExecutor(2) as pool:
        for path in pool.map(lambda _: find_loss_weights(), range(2)):
            assert_first_convolution(read_loss_weights(path))
    assert published.asked == ["/models/vgg19-small.pth"]
    assert cached_files() == ["vgg19.safetensors"]


# --- Checks without torch and without a download


@pytest.mark.parametrize("name", ["mine.safetensors", "mine.pth"])
def test_a_sound_file_passes_the_check(tmp_path, name):
    path = tmp_path / name
    safetensors.torch.save_file(FIRST_TENSORS, path) if path.suffix == ".safetensors" else path.write_bytes(
        as_pth(FIRST_TENSORS)
    )
    check_loss_weights(path, "vgg19", ["relu1_1"])


@pytest.mark.parametrize("name", ["mine.safetensors", "mine.pth"])
@pytest.mark.parametrize("content", [None, b"", b"garbage" * 100], ids=["missing", "empty", "garbage"])
def test_an_unusable_file_fails_the_check_by_name(tmp_path, name, content):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(LossWeightsError, match=name):
        check_loss_weights(tmp_path / name, "vgg19", ["relu1_1"])


def test_weights_that_end_below_the_layers_fail_the_check(tmp_path):
    safetensors.torch.save_file(FIRST_TENSORS, tmp_path / "mine.safetensors")
    with pytest.raises(LossWeightsError, match="end at relu1_1, but relu4_2 is needed"):
        check_loss_weights(tmp_path / "mine.safetensors", "vgg19", ["relu1_1", "relu4_2", "relu3_1"])


@pytest.mark.parametrize("layers", [[], ["relu4_1"]])
def test_the_check_downloads_nothing(published, layers):
    check_loss_weights(None, "vgg19", layers)
    check_loss_weights(None, "compact", layers)
    assert published.asked == []


# --- Missing permissions


@pytest.mark.parametrize("name", ["mine.safetensors", "mine.pth"])
@pytest.mark.parametrize(
    "use", [read_loss_weights, lambda path: check_loss_weights(path, "vgg19", ["relu1_1"])], ids=["read", "check"]
)
def test_a_missing_permission_is_not_called_corrupt(tmp_path, without_permission, name, use):
    path = tmp_path / name
    safetensors.torch.save_file(FIRST_TENSORS, path) if path.suffix == ".safetensors" else path.write_bytes(
        as_pth(FIRST_TENSORS)
    )
    without_permission(path)
    with pytest.raises(LossWeightsError, match="Permission denied") as caught:
        use(path)
    assert name in caught.value.message
    assert "Delete" not in caught.value.hint


def test_a_cached_file_without_permission_is_not_downloaded_again(published, without_permission):
    loss_weights_path().parent.mkdir(parents=True)
    safetensors.numpy.save_file(FIRST, loss_weights_path())
    without_permission(loss_weights_path())
    for use in (find_loss_weights, lambda: check_loss_weights(None, "vgg19", [])):
        with pytest.raises(LossWeightsError, match=r"Cannot read .*vgg19\.safetensors: Permission denied"):
            use()
    assert published.asked == []


# --- Announcements


def test_a_download_is_announced_once_with_its_size_and_place_before_it_starts(published):
    announced, progress = [], []

    def on_download(download):
        announced.append((download, list(published.asked)))
        return lambda done, total: progress.append((done, total))

    find_loss_weights(on_download=on_download)
    find_loss_weights(on_download=on_download)
    assert announced == [(Download("VGG-19", VGG19_SIZE, loss_weights_path()), [])]
    size = len(published.pages["/models/vgg19-small.pth"][0].body)
    assert progress[-1] == (size, size)


def test_no_download_is_announced_offline(monkeypatch):
    monkeypatch.setenv("STYLEKIT_OFFLINE", "1")
    with pytest.raises(LossWeightsError):
        find_loss_weights(on_download=lambda download: pytest.fail("announced"))

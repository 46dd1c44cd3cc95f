"""What every test relies on: a home of its own, and no network but loopback."""

import os
import signal
import socket
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

os.environ.setdefault("OMP_NUM_THREADS", "1")  # networks this small are slower with more, above all on a busy machine

# A shell that starts the tests in the background has SIGINT ignored, which processes that they start would inherit.
signal.signal(signal.SIGINT, signal.default_int_handler)

SHARED = Path(os.environ.get("STYLEKIT_TEST_DATA", Path(__file__).parents[2] / "shared"))


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory, monkeypatch):
    """Keep the user's cache and styles out of the tests, and the tests out of them."""
    monkeypatch.setenv("STYLEKIT_HOME", str(tmp_path_factory.mktemp("home")))
    for name in ("STYLEKIT_OFFLINE", "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def _loopback_only(monkeypatch):
    connect = socket.socket.connect

    def guarded(self, address):
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise AssertionError(f"a test tried to reach {address}")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(scope="module")
def one_thread():
    """Keep torch to one thread: on pictures of 32 px more of them cost tenfold, and beside other work fortyfold."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def shared():
    """The folder of real weights, photos and paintings beside the project."""
    if not (SHARED / "weights").is_dir():
        pytest.skip(f"{SHARED} is absent: real weights and photos are not at hand (set STYLEKIT_TEST_DATA)")
    return SHARED


@pytest.fixture(scope="session")
def make_photo():
    """A maker of photo-like pictures: slopes of colour with some noise, from a seed."""

    def make(width=64, height=48, seed=0):
        random = np.random.default_rng(seed)
        rows, columns = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
        slopes = np.stack([rows, columns, 1 - rows * columns], axis=-1) * random.uniform(0.5, 1, 3)
        noisy = slopes * 200 + random.normal(20, 6, (height, width, 3))
        return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))

    return make


@pytest.fixture(scope="session")
def small_style():
    """A style of a tiny, untrained network: stylises in no time."""
    import torch

    from stylekit.networks import architecture
    from stylekit.styles.style_file import StyleFile, StyleMetadata

    config = {"channels": 8, "blocks": 1, "half_channels": 4, "full_channels": 4}
    torch.manual_seed(0)
    weights = {name: tensor.numpy() for name, tensor in architecture("fast").build(config).state_dict().items()}
    return StyleFile(StyleMetadata(name="small", network="fast", network_config=config), weights)


@pytest.fixture
def style_path(small_style, tmp_path_factory):
    """The tiny style as a file."""
    from stylekit.styles.style_file import save_style_file

    path = tmp_path_factory.mktemp("style") / "small.safetensors"
    save_style_file(small_style, path)
    return path


@pytest.fixture
def vgg_weights():
    """Random weights for VGG-19's convolutions up to relu3_3, scaled so that activations neither die nor explode."""
    from stylekit.losses.layers import VGG19_LAYERS

    random = np.random.default_rng(0)
    weights = {}
    for layer, convolution in VGG19_LAYERS.items():
        if layer > "relu3_3":
            break
        kernel, bias = convolution.shapes.items()
        weights[kernel[0]] = random.normal(0, (2 / (9 * convolution.inputs)) ** 0.5, kernel[1]).astype(np.float32)
        weights[bias[0]] = np.zeros(bias[1], np.float32)
    return weights


@pytest.fixture
def server(monkeypatch):
    """A web server on this machine."""
    from tests.local_server import serve

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serve() as local:
        yield local


@pytest.fixture
def stylekit(capsys):
    """Run a command; give exit code, stdout, stderr."""
    from stylekit.cli.app import run

    def call(*args):
        code = run([str(arg) for arg in args])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call

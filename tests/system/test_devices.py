"""Devices: selected without torch where there can be no GPU."""

import ctypes
import os
import subprocess
import sys

import pytest
import torch

from stylekit.errors import ConfigError, DeviceUnavailable
from stylekit.system import devices
from stylekit.system.devices import available_devices, select_device


@pytest.fixture
def without_drivers(monkeypatch):
    monkeypatch.setattr(devices, "cuda_may_exist", lambda: False)
    monkeypatch.setattr(devices, "mps_may_exist", lambda: False)


@pytest.fixture
def two_gpus(monkeypatch):
    monkeypatch.setattr(devices, "_gpus", lambda: ["cuda:0", "cuda:1", "mps"])
    monkeypatch.setattr(devices, "_describe", lambda gpu: "GPU")
    monkeypatch.setattr(devices, "_works", lambda gpu: True)


@pytest.mark.parametrize("name", ["cpu", "auto"])
def test_the_cpu_is_selected_without_torch(name):
    script = (
        "import sys\n"
        "from stylekit.system import devices\n"
        "devices.cuda_may_exist = devices.mps_may_exist = lambda: False\n"
        f"print(devices.select_device({name!r}), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], env=os.environ, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["cpu", "False"]


def test_without_drivers_there_is_only_the_cpu(without_drivers):
    assert available_devices() == {"cpu": "CPU"}
    assert select_device("auto") == select_device() == "cpu"


@pytest.mark.parametrize(
    ("wanted", "selected"), [("auto", "cuda:0"), ("cuda", "cuda:0"), ("cuda:1", "cuda:1"), ("mps", "mps")]
)
def test_a_device_that_is_present_is_selected(two_gpus, wanted, selected):
    assert select_device(wanted) == selected


@pytest.mark.parametrize(
    ("wanted", "probed"), [("cuda:1", ["cuda:1"]), ("mps", ["mps"]), ("cuda", ["cuda:0", "cuda:1"]), ("cpu", [])]
)
def test_only_matching_devices_up_to_the_first_that_works_are_touched(two_gpus, monkeypatch, wanted, probed):
    asked = []
    monkeypatch.setattr(devices, "_works", lambda gpu: asked.append(gpu) or gpu != "cuda:0")
    assert select_device(wanted) == (probed or ["cpu"])[-1]
    assert asked == probed


@pytest.mark.parametrize("wanted", ["cuda", "cuda:0", "mps"])
def test_a_missing_device_is_refused_and_the_available_ones_are_named(without_drivers, wanted):
    with pytest.raises(DeviceUnavailable, match=f"{wanted} is unavailable") as caught:
        select_device(wanted)
    assert "Available: cpu." in caught.value.hint


def test_a_gpu_with_too_high_a_number_is_refused_and_the_others_are_named(two_gpus):
    with pytest.raises(DeviceUnavailable, match="cuda:2 is unavailable") as caught:
        select_device("cuda:2")
    assert "cuda:0, cuda:1, mps, cpu" in caught.value.hint


@pytest.mark.parametrize(
    "name", ["gpu", "CUDA", "cuda:", "cuda:x", "cuda:-1", "cpu:0", "mps:0", "", " cpu", "cpu\n", "cuda 0"]
)
def test_other_names_are_refused(name):
    with pytest.raises(ConfigError, match="--device must be auto, cpu, cuda, cuda:N or mps"):
        select_device(name)


def test_a_visible_gpu_without_torch_is_refused_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setattr(devices, "cuda_may_exist", lambda: True)
    with pytest.raises(DeviceUnavailable, match="Device cuda needs torch, which is not installed") as caught:
        select_device("cuda")
    assert "neural-stylekit[torch]" in caught.value.hint


@pytest.mark.parametrize(("platform", "library"), [("linux", "libcuda.so.1"), ("win32", "nvcuda.dll")])
@pytest.mark.parametrize("there", [True, False])
def test_cuda_is_detected_by_its_driver_library(monkeypatch, platform, library, there):
    def load(name):
        assert name == library
        if not there:
            raise OSError(name)

    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(ctypes, "CDLL", load)
    assert devices.cuda_may_exist() is there


@pytest.mark.parametrize(("platform", "there"), [("darwin", True), ("linux", False), ("win32", False)])
def test_mps_is_detected_by_the_platform(monkeypatch, platform, there):
    monkeypatch.setattr(sys, "platform", platform)
    assert devices.mps_may_exist() is there


@pytest.mark.parametrize(
    ("silent", "found"),
    [
        ("cuda:1", {"cuda:0": "GPU 0", "cuda:2": "GPU 2", "mps": "Apple GPU", "cpu": "CPU"}),
        ("mps", {"cuda:0": "GPU 0", "cuda:1": "GPU 1", "cuda:2": "GPU 2", "cpu": "CPU"}),
    ],
)
def test_devices_that_do_not_work_are_left_out_and_the_fastest_come_first(monkeypatch, silent, found):
    monkeypatch.setattr(devices, "cuda_may_exist", lambda: True)
    monkeypatch.setattr(devices, "mps_may_exist", lambda: True)
    monkeypatch.setattr(devices, "_works", lambda name: name != silent)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda gpu: f"GPU {gpu[-1]}")
    assert list(available_devices().items()) == list(found.items())


def test_with_a_driver_library_but_no_gpu_there_is_only_the_cpu(monkeypatch):
    monkeypatch.setattr(devices, "cuda_may_exist", lambda: True)
    monkeypatch.setattr(devices, "mps_may_exist", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert available_devices() == {"cpu": "CPU"}


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("full"),
        RuntimeError("No CUDA GPUs are available"),
        AssertionError("not compiled with CUDA"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_device_that_fails_an_allocation_does_not_work(monkeypatch, error):
    asked = []

    def ones(*size, device):
        asked.append(device)
        raise error

    assert devices._works("cpu")
    monkeypatch.setattr(torch, "ones", ones)
    assert not devices._works("cuda:0")
    assert asked == ["cuda:0"]

"""Devices: chosen without torch where that can be told without it, and their memory errors made clear."""

import ctypes
import os
import subprocess
import sys

import pytest
import torch

from stylekit.errors import ConfigError, DeviceUnavailable, OutOfMemory
from stylekit.system import devices as device
from stylekit.system import memory
from stylekit.system.devices import available_devices, select_device
from stylekit.system.memory import memory_errors


@pytest.fixture
def without_drivers(monkeypatch):
    monkeypatch.setattr(device, "cuda_may_exist", lambda: False)
    monkeypatch.setattr(device, "mps_may_exist", lambda: False)


@pytest.fixture
def two_gpus(monkeypatch):
    monkeypatch.setattr(device, "_gpus", lambda: ["cuda:0", "cuda:1", "mps"])
    monkeypatch.setattr(device, "_describe", lambda gpu: "GPU")
    monkeypatch.setattr(device, "_answers", lambda gpu: True)


@pytest.mark.parametrize("name", ["cpu", "auto"])
def test_the_cpu_is_chosen_without_torch(name):
    script = (
        "import sys\n"
        "from stylekit.system import devices as device\n"
        "device.cuda_may_exist = device.mps_may_exist = lambda: False\n"
        f"print(device.select_device({name!r}), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], env=os.environ, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["cpu", "False"]


def test_the_cpu_is_there_and_alone_without_drivers(without_drivers):
    assert available_devices() == {"cpu": "CPU"}
    assert select_device("auto") == select_device() == "cpu"


@pytest.mark.parametrize(
    ("wanted", "chosen"), [("auto", "cuda:0"), ("cuda", "cuda:0"), ("cuda:1", "cuda:1"), ("mps", "mps")]
)
def test_a_device_that_is_there_is_chosen(two_gpus, wanted, chosen):
    assert select_device(wanted) == chosen


@pytest.mark.parametrize(
    ("wanted", "probed"), [("cuda:1", ["cuda:1"]), ("mps", ["mps"]), ("cuda", ["cuda:0", "cuda:1"]), ("cpu", [])]
)
def test_no_device_is_touched_but_those_that_are_asked_for_up_to_the_first_that_answers(
    two_gpus, monkeypatch, wanted, probed
):
    asked = []
    monkeypatch.setattr(device, "_answers", lambda gpu: asked.append(gpu) or gpu != "cuda:0")
    assert select_device(wanted) == (probed or ["cpu"])[-1]
    assert asked == probed


CONTAINERS = {
    "version 2": {"memory.max": "5000", "memory.current": "3000", "memory.stat": "anon 1\ninactive_file 500"},
    "version 1": {
        "memory/memory.limit_in_bytes": "5000",
        "memory/memory.usage_in_bytes": "3000",
        "memory/memory.stat": "inactive_file 1\ntotal_inactive_file 500",
    },
    "a group in it": {
        "a/memory.max": "5000",
        "a/memory.current": "3000",
        "a/memory.stat": "inactive_file 500",
        "a/b/memory.max": "max",
        "a/b/memory.current": "10",
        "a/b/memory.stat": "inactive_file 0",
    },
}


@pytest.mark.parametrize("files", CONTAINERS.values(), ids=CONTAINERS)
def test_a_container_has_no_more_memory_than_it_is_given(tmp_path, monkeypatch, files):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{text}\n")
    (tmp_path / "own").write_text("12:cpu,cpuacct:/a/b\n4:memory:/a/b\n0::/a/b\n")
    monkeypatch.setattr(memory, "_CONTROL_GROUPS", tmp_path)
    monkeypatch.setattr(memory, "_OWN_CONTROL_GROUPS", tmp_path / "own")
    assert memory.free_memory("cpu") == 2500


def test_without_containers_all_that_is_free_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "_OWN_CONTROL_GROUPS", tmp_path / "absent")
    assert memory.free_memory("cpu") > 10**6


@pytest.mark.parametrize("wanted", ["cuda", "cuda:0", "mps"])
def test_a_device_that_is_missing_is_refused_and_those_that_are_there_named(without_drivers, wanted):
    with pytest.raises(DeviceUnavailable, match=f"{wanted} is missing") as caught:
        select_device(wanted)
    assert "There is: cpu." in caught.value.hint


def test_a_gpu_of_too_high_a_number_is_refused_and_the_others_named(two_gpus):
    with pytest.raises(DeviceUnavailable, match="cuda:2 is missing") as caught:
        select_device("cuda:2")
    assert "cuda:0, cuda:1, mps, cpu" in caught.value.hint


@pytest.mark.parametrize(
    "name", ["gpu", "CUDA", "cuda:", "cuda:x", "cuda:-1", "cpu:0", "mps:0", "", " cpu", "cpu\n", "cuda 0"]
)
def test_what_names_no_device_is_refused(name):
    with pytest.raises(ConfigError, match="Unknown device") as caught:
        select_device(name)
    assert "cuda:N" in caught.value.hint


@pytest.mark.parametrize(("platform", "library"), [("linux", "libcuda.so.1"), ("win32", "nvcuda.dll")])
@pytest.mark.parametrize("there", [True, False])
def test_cuda_is_told_by_its_driver_library(monkeypatch, platform, library, there):
    def load(name):
        assert name == library
        if not there:
            raise OSError(name)

    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(ctypes, "CDLL", load)
    assert device.cuda_may_exist() is there


@pytest.mark.parametrize(("platform", "there"), [("darwin", True), ("linux", False), ("win32", False)])
def test_mps_is_told_by_the_platform(monkeypatch, platform, there):
    monkeypatch.setattr(sys, "platform", platform)
    assert device.mps_may_exist() is there


@pytest.mark.parametrize(
    ("silent", "found"),
    [
        ("cuda:1", {"cuda:0": "GPU 0", "cuda:2": "GPU 2", "mps": "Apple GPU", "cpu": "CPU"}),
        ("mps", {"cuda:0": "GPU 0", "cuda:1": "GPU 1", "cuda:2": "GPU 2", "cpu": "CPU"}),
    ],
)
def test_devices_that_do_not_answer_are_left_out_and_the_fastest_come_first(monkeypatch, silent, found):
    monkeypatch.setattr(device, "cuda_may_exist", lambda: True)
    monkeypatch.setattr(device, "mps_may_exist", lambda: True)
    monkeypatch.setattr(device, "_answers", lambda name: name != silent)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda gpu: f"GPU {gpu[-1]}")
    assert list(available_devices().items()) == list(found.items())


def test_a_driver_library_without_a_gpu_leaves_the_cpu(monkeypatch):
    monkeypatch.setattr(device, "cuda_may_exist", lambda: True)
    monkeypatch.setattr(device, "mps_may_exist", lambda: False)
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
def test_a_device_that_fails_an_allocation_does_not_answer(monkeypatch, error):
    asked = []

    def ones(*size, device):
        asked.append(device)
        raise error

    assert device._answers("cpu")
    monkeypatch.setattr(torch, "ones", ones)
    assert not device._answers("cuda:0")
    assert asked == ["cuda:0"]


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("MPS backend out of memory (MPS allocated: 9.00 GB)"),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory: you tried to ..."
        ),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    ],
    ids=["python", "cuda", "mps", "cpu", "cublas", "cudnn"],
)
def test_a_lack_of_memory_becomes_one_clear_error(error):
    with (
        pytest.raises(OutOfMemory, match="Out of memory on cuda:1") as caught,
        memory_errors("cuda:1", "Use --max-size."),
    ):
        raise error
    assert caught.value.hint == "Use --max-size."


def test_an_allocation_that_no_machine_can_satisfy_becomes_one_clear_error():
    with pytest.raises(OutOfMemory), memory_errors("cpu", "Use --max-size."):
        torch.empty(1 << 60, dtype=torch.uint8)


@pytest.mark.parametrize(
    "error", [RuntimeError("shapes do not match"), ValueError("out of memory"), KeyboardInterrupt()]
)
def test_other_errors_are_let_through(error):
    with pytest.raises(type(error)) as caught, memory_errors("cpu", "Use --max-size."):
        raise error
    assert caught.value is error

"""Memory: what is free, and one clear error when it runs out."""

import os

import psutil
import pytest
import torch

from stylekit.errors import OutOfMemory
from stylekit.system import cgroups, memory
from stylekit.system.memory import free_memory, memory_errors

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
def test_a_container_has_only_the_memory_of_its_limit(tmp_path, monkeypatch, files):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{text}\n")
    (tmp_path / "own").write_text("12:cpu,cpuacct:/a/b\n4:memory:/a/b\n0::/a/b\n")
    monkeypatch.setattr(cgroups, "_MOUNT", tmp_path)
    monkeypatch.setattr(cgroups, "_MEMBERSHIPS", tmp_path / "own")
    assert free_memory("cpu") == 2500


def test_without_control_groups_all_free_memory_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(cgroups, "_MEMBERSHIPS", tmp_path / "absent")
    assert free_memory("cpu") > 10**6


@pytest.mark.parametrize("error", [FileNotFoundError("/proc/meminfo"), KeyError(b"MemTotal:"), RuntimeError("none")])
def test_without_proc_the_free_memory_is_estimated(tmp_path, monkeypatch, error):
    def fail():
        raise error

    monkeypatch.setattr(cgroups, "_MEMBERSHIPS", tmp_path / "absent")
    monkeypatch.setattr(psutil, "virtual_memory", fail)
    assert free_memory("cpu") > 10**6
    monkeypatch.setattr(os, "sysconf", lambda name: -1 if name == "SC_AVPHYS_PAGES" else 4096, raising=False)
    assert free_memory("cpu") == memory._ASSUMED_MEMORY
    monkeypatch.delattr(os, "sysconf")
    assert free_memory("cpu") == memory._ASSUMED_MEMORY


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


def test_an_impossible_allocation_becomes_one_clear_error():
    with pytest.raises(OutOfMemory), memory_errors("cpu", "Use --max-size."):
        torch.empty(1 << 60, dtype=torch.uint8)


@pytest.mark.parametrize(
    "error", [RuntimeError("shapes do not match"), ValueError("out of memory"), KeyboardInterrupt()]
)
def test_other_errors_pass_through(error):
    with pytest.raises(type(error)) as caught, memory_errors("cpu", "Use --max-size."):
        raise error
    assert caught.value is error

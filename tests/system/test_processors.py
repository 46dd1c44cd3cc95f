"""The processors that this process may use: by affinity and by the quotas of control groups."""

import os
import subprocess
import sys

import psutil
import pytest

from stylekit.system import cgroups
from stylekit.system.distributed import World
from stylekit.system.processors import usable_cores, usable_threads


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Return a function that pretends a machine of so many processors, and files of control groups."""

    def pretend(present, files=None, memberships="0::/a/b", cores=None):
        for name, text in (files or {}).items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(f"{text}\n")
        (tmp_path / "own").write_text(f"{memberships}\n")
        monkeypatch.setattr(cgroups, "_MOUNT", tmp_path)
        monkeypatch.setattr(cgroups, "_MEMBERSHIPS", tmp_path / "own")
        monkeypatch.setattr(os, "cpu_count", lambda: present)
        if sys.platform == "linux":
            monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(present)))
        monkeypatch.setattr(psutil, "cpu_count", lambda logical=True: present if logical else cores)

    return pretend


@pytest.mark.parametrize(
    ("files", "usable"),
    [
        ({}, 16),
        ({"cpu.max": "max 100000"}, 16),
        ({"cpu.max": "200000 100000"}, 2),
        ({"cpu.max": "250000 100000"}, 3),
        ({"cpu.max": "10000 100000"}, 1),
        ({"cpu.max": "6400000 100000"}, 16),
        ({"a/cpu.max": "400000 100000", "a/b/cpu.max": "max 100000"}, 4),
        ({"a/cpu.max": "400000 100000", "a/b/cpu.max": "300000 100000"}, 3),
        ({"a/b/cpu.max": "nonsense"}, 16),
    ],
    ids=str,
)
def test_the_quota_of_version_2_is_honored(machine, files, usable):
    machine(16, files)
    assert usable_threads() == usable


@pytest.mark.parametrize(("quota", "usable"), [(-1, 16), (200_000, 2), (150_000, 2)])
def test_the_quota_of_version_1_is_honored(machine, quota, usable):
    files = {"cpu/a/b/cpu.cfs_quota_us": quota, "cpu/a/b/cpu.cfs_period_us": 100_000, "cpu.max": "100000 100000"}
    machine(16, files, memberships="12:cpu,cpuacct:/a/b\n11:cpuset:/\n4:memory:/a/b")
    assert usable_threads() == usable


def test_without_control_groups_all_present_processors_are_usable(machine, monkeypatch, tmp_path):
    machine(16)
    monkeypatch.setattr(cgroups, "_MEMBERSHIPS", tmp_path / "absent")
    assert usable_threads() == 16


@pytest.mark.parametrize(
    ("present", "cores", "quota", "usable"),
    [(16, 8, "max", 8), (16, None, "max", 16), (4, 64, "max", 4), (16, 8, 200_000, 2)],
)
def test_hardware_threads_of_one_core_count_once(machine, present, cores, quota, usable):
    machine(present, {"cpu.max": f"{quota} 100000"}, cores=cores)
    assert usable_cores() == usable


@pytest.mark.parametrize("error", [FileNotFoundError("/proc/cpuinfo"), KeyError("cpu"), NotImplementedError()])
def test_without_proc_every_hardware_thread_counts(machine, monkeypatch, error):
    def fail(*arguments, **settings):
        raise error

    machine(6)
    monkeypatch.setattr(psutil, "cpu_count", fail)
    assert usable_cores() == 6
    if sys.platform == "linux":
        monkeypatch.setattr(os, "sched_getaffinity", lambda process: (_ for _ in ()).throw(PermissionError))
        assert usable_cores() == usable_threads() == 6


@pytest.mark.skipif(sys.platform != "linux", reason="other platforms have no affinity")
def test_the_affinity_is_honored():
    script = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "from stylekit.config.apply import COMMAND_JOBS\n"
        "from stylekit.system.processors import usable_cores, usable_threads\n"
        "print(usable_cores(), usable_threads(), COMMAND_JOBS)"
    )
    done = subprocess.run([sys.executable, "-c", script], env=os.environ, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "1", "1"]


@pytest.mark.parametrize(("present", "processes", "threads"), [(16, 4, 4), (7, 2, 3), (2, 4, 1)])
def test_processes_of_one_machine_share_its_threads(machine, present, processes, threads):
    machine(present)
    assert World(size=processes, local_size=processes).threads == threads

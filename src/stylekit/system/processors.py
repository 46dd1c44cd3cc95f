"""Count the processors that this process may use."""

import contextlib
import math
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from stylekit.system.cgroups import control_groups


def usable_cores() -> int:
    """Return the number of CPU cores that this process may use, which is the best number of threads for a computation.

    Respects the same limits as `usable_threads`, but counts a core with several hardware threads only once.
    """
    import psutil

    threads = usable_threads()
    with contextlib.suppress(Exception):  # psutil raises various errors if /proc is missing or restricted
        return min(threads, psutil.cpu_count(logical=False) or threads)
    return threads


def usable_threads() -> int:
    """Return the number of hardware threads that this process may use.

    Respects the CPU affinity (`taskset`) and the quotas of control groups (`docker run --cpus`).
    """
    return min([_present_threads(), *_quotas()])


def _present_threads() -> int:
    """Return the number of hardware threads that the scheduler may choose for this process."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # some sandboxes forbid the system call
            return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def multiplies_bfloat16() -> bool:
    """Return whether this CPU has instructions for bfloat16 products (AVX-512 BF16, AMX); detected on Linux only."""
    with contextlib.suppress(OSError, ValueError):
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8").partition("\nflags")[2].partition("\n")[0].split()
        return not {"avx512_bf16", "amx_bf16"}.isdisjoint(flags)
    return False


def _quotas() -> Iterator[int]:
    """Yield the limits that control groups set, as numbers of processors, rounded up."""
    for version, folder in control_groups("cpu"):
        with contextlib.suppress(OSError, ValueError):  # the group has no limit
            if version == 2:
                quota, period = (int(number) for number in (folder / "cpu.max").read_text().split())
            else:
                quota, period = (int((folder / f"cpu.cfs_{kind}_us").read_text()) for kind in ("quota", "period"))
            if quota > 0 and period > 0:  # in version 1, a quota of -1 means no limit
                yield math.ceil(quota / period)

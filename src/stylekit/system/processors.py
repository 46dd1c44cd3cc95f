"""How many of the machine's processors this process may use."""

import contextlib
import math
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from stylekit.system.cgroups import control_groups


def usable_cores() -> int:
    """Return how many CPU cores this process may keep busy: the right number of threads for one computation.

    As `usable_threads`, but the hardware threads of one core count once.
    """
    import psutil

    threads = usable_threads()
    return min(threads, psutil.cpu_count(logical=False) or threads)


def usable_threads() -> int:
    """Return how many hardware threads this process may keep busy.

    Honors the process's CPU affinity (`taskset`) and the quotas of its control groups (`docker run --cpus`).
    """
    present = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return min([present, *_quotas()])


def multiplies_bfloat16() -> bool:
    """Return whether this CPU has instructions for bfloat16 products (AVX-512 BF16, AMX); known on Linux only."""
    with contextlib.suppress(OSError):
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8").partition("\nflags")[2].partition("\n")[0].split()
        return not {"avx512_bf16", "amx_bf16"}.isdisjoint(flags)
    return False


def _quotas() -> Iterator[int]:
    """Yield the limit of each control group that has one, in processors, rounded up."""
    for version, folder in control_groups("cpu"):
        with contextlib.suppress(OSError, ValueError):  # this group sets no limit
            if version == 2:
                quota, period = (int(number) for number in (folder / "cpu.max").read_text().split())
            else:
                quota, period = (int((folder / f"cpu.cfs_{kind}_us").read_text()) for kind in ("quota", "period"))
            if quota > 0 and period > 0:  # version 1 writes -1 for no limit
                yield math.ceil(quota / period)

"""How many processors and threads there are for this process."""

import os
import sys


def usable_threads() -> int:
    """Return on how many of the CPU's threads this process may run."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def usable_cores() -> int:
    """Return on how many of the CPU's cores this process may run; two threads of one core count once."""
    import psutil

    return min(usable_threads(), psutil.cpu_count(logical=False) or usable_threads())

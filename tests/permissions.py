"""Files without permission to read them, also for tests that run as root."""

import ctypes
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_CAPABILITY_VERSION = 0x20080522
_DAC_OVERRIDE, _DAC_READ_SEARCH = 1 << 1, 1 << 2


@pytest.fixture
def without_permission() -> Iterator[Callable[[Path], None]]:
    """Take the permission to read a file, or to search a folder, away until the test ends."""
    changed = []

    def forbid(path: Path) -> None:
        changed.append((path, path.stat().st_mode))
        path.chmod(0)

    with _without_override():
        yield forbid
    for path, mode in changed:
        path.chmod(mode)


@contextmanager
def _without_override() -> Iterator[None]:
    """Let permissions hold for this thread even if it runs as root."""
    if sys.platform == "win32":
        pytest.skip("Windows has other permissions")
    if os.geteuid() != 0:
        yield
        return
    if sys.platform != "linux":
        pytest.skip("permissions do not hold for root")
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; twice, of 32 capabilities each
    if libc.capget(header, sets) != 0:
        pytest.skip("capabilities cannot be read")
    effective = sets[0]
    sets[0] = effective & ~(_DAC_OVERRIDE | _DAC_READ_SEARCH)
    if libc.capset(header, sets) != 0:
        pytest.skip("capabilities cannot be given up")
    try:
        yield
    finally:
        sets[0] = effective
        libc.capset(header, sets)

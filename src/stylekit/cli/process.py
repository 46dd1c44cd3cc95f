"""Set up the process: open closed streams, expand file name patterns on Windows, and speed up imports."""

import contextlib
import gc
import glob
import os
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path


def open_closed_streams() -> None:
    """Connect closed standard streams to the null device, so that files opened later cannot take their descriptors.

    If standard output is not a terminal, file names that are not valid text are written byte for byte.
    """
    if None in (sys.stdin, sys.stdout, sys.stderr):
        while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:  # the lowest free descriptor
            os.set_inheritable(descriptor, True)
        os.close(descriptor)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - open until the process ends
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None and not sys.stdout.isatty():
        reconfigure(errors="surrogateescape")


def arguments() -> list[str]:
    """Return the command-line arguments, with file name patterns expanded on Windows."""
    given = sys.argv[1:]
    return list(expand_patterns(given)) if os.name == "nt" else given


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Turn off garbage collection during the block: while modules are imported, it is slow and frees nothing."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def expand_patterns(arguments: Iterable[str]) -> Iterator[str]:
    """Replace file name patterns such as `*.jpg` and `photo?.png` with the matching names, as Unix shells do.

    A pattern without a match is left unchanged. Brackets are not special: they are valid in file names.
    """
    for argument in arguments:
        is_pattern = re.search(r"[*?]", argument) and not argument.startswith("-")
        names = glob.glob(argument.replace("[", "[[]")) if is_pattern else []  # noqa: PTH207 - keeps names as typed
        yield from sorted(names) or [argument]

"""What the shell leaves to a process: streams that are closed, and on Windows patterns in the arguments."""

import glob
import os
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path


def open_closed_streams() -> None:
    """Connect closed standard streams to the null device, so that no file that is opened later takes their place.

    File names that are not text in the terminal's encoding are passed on as they are to a file or another program.
    """
    if None in (sys.stdin, sys.stdout, sys.stderr):
        while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:  # the lowest that is free
            os.set_inheritable(descriptor, True)
        os.close(descriptor)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - until the process ends
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None and not sys.stdout.isatty():
        reconfigure(errors="surrogateescape")


def arguments() -> list[str]:
    """Return the arguments of the command line."""
    given = sys.argv[1:]
    return list(expand_patterns(given)) if os.name == "nt" else given


def expand_patterns(arguments: Iterable[str]) -> Iterator[str]:
    """Replace patterns of files, `*.jpg` and `photo?.png`, by the names that match, as shells do except on Windows.

    A pattern that nothing matches stays as it is; brackets are part of names, and Windows allows neither * nor ?.
    """
    for argument in arguments:
        is_pattern = re.search(r"[*?]", argument) and not argument.startswith("-")
        names = glob.glob(argument.replace("[", "[[]")) if is_pattern else []  # noqa: PTH207 - keeps names as typed
        yield from sorted(names) or [argument]

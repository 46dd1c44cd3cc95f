"""Show images for `--show`: in the terminal if it can display images, otherwise in the system's viewer."""

import contextlib
import os
import re
import select
import shutil
import struct
import subprocess
import sys
import time
from base64 import standard_b64encode
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from stylekit.cli.console import Output
from stylekit.errors import StylekitError
from stylekit.images.formats import READABLE_SUFFIXES

if TYPE_CHECKING:
    from PIL import Image

_MOST = 8  # files of a batch that are shown
_CHUNK = 4096  # bytes in an escape sequence of kitty's protocol
_PIXELS_PER_COLUMN = 10  # where the terminal does not report its size in pixels
_ANSWER_SECONDS = 0.5  # to wait for a terminal's answer, even over a slow connection
_VIEWER_SECONDS = 3.0  # after which a viewer that is still running has started
_SIXEL = "4"  # the number by which a terminal reports that it supports sixel
_COLORS = 128  # in a sixel image


def show_images(console: Output, paths: Sequence[Path]) -> None:
    """Show files in the terminal if it can display images, otherwise in the system's viewer.

    The protocols of kitty and iTerm2 are detected by environment variables, sixel by querying the terminal.

    Args:
        console: Where notes about files that cannot be shown are printed.
        paths: Images and videos; only the first few are shown.
    """
    if len(paths) > _MOST:
        console.note(f"Showing the first {_MOST} of {len(paths)} results.")
    terminal = next((stream for stream in (sys.stderr, sys.stdout) if stream.isatty()), None)
    protocol = "" if terminal is None else _protocol()
    for path in paths[:_MOST]:
        if terminal is not None and protocol and path.suffix.lower() in READABLE_SUFFIXES:
            _show_inline(console, path, terminal, protocol)
        elif not _open_in_viewer(path):
            console.note(f"Cannot show {path}: the terminal cannot display images, and no viewer could be started.")


def _protocol() -> str:
    """Return the terminal's protocol for images, `kitty`, `iterm2` or `sixel`; an empty string if it has none."""
    variables = os.environ
    if "TMUX" in variables or "STY" in variables:  # tmux and screen hide the features of the outer terminal
        return ""
    program, kind = variables.get("TERM_PROGRAM", ""), variables.get("TERM", "")
    if "KITTY_WINDOW_ID" in variables or "kitty" in kind or "ghostty" in (program + kind).lower():
        return "kitty"
    if program in ("iTerm.app", "WezTerm", "mintty") or variables.get("LC_TERMINAL") == "iTerm2":
        return "iterm2"
    return "sixel" if _SIXEL in _abilities() else ""


def _abilities() -> list[str]:
    """Query the terminal for its features, and return their numbers; none on Windows."""
    try:
        import termios
        import tty
    except ImportError:
        return []
    answer = b""
    with contextlib.suppress(OSError, termios.error):
        descriptor = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
        try:
            if os.tcgetpgrp(descriptor) != os.getpgrp():  # the terminal would stop a background process
                return []
            before = termios.tcgetattr(descriptor)
            try:
                tty.setcbreak(descriptor)
                os.write(descriptor, b"\x1b[c")
                end = time.monotonic() + _ANSWER_SECONDS
                while not answer.endswith(b"c") and (left := end - time.monotonic()) > 0:
                    if select.select([descriptor], [], [], left)[0]:
                        answer += os.read(descriptor, 64)
            finally:
                termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
        finally:
            os.close(descriptor)
    found = re.search(rb"\x1b\[\?([\d;]*)c", answer)
    return found[1].decode().split(";")[1:] if found else []


def _show_inline(console: Output, path: Path, terminal: TextIO, protocol: str) -> None:
    from stylekit.config.checks import MAX_PIXELS
    from stylekit.images.photo import photo_to_image
    from stylekit.images.reading import load_photo

    try:
        photo = load_photo(path, max_pixels=MAX_PIXELS)
        image = photo_to_image(photo)
        width = _width(terminal)
        image.thumbnail((width, 4 * width))
    except StylekitError as error:
        console.note(f"Cannot show {path}: {error.message}")
        return
    encode = {"kitty": _kitty, "iterm2": _iterm2, "sixel": _sixel}[protocol]
    with contextlib.suppress(OSError):
        terminal.write(f"{encode(image)}\n")
        terminal.flush()


def _width(terminal: TextIO) -> int:
    """Return the terminal's width in pixels."""
    with contextlib.suppress(ImportError, OSError):
        import fcntl
        import termios

        size = fcntl.ioctl(terminal.fileno(), termios.TIOCGWINSZ, bytes(8))
        width = struct.unpack("HHHH", size)[2]
        if width:
            return int(width)
    return _PIXELS_PER_COLUMN * shutil.get_terminal_size().columns


def _png(image: "Image.Image") -> bytes:
    file = BytesIO()
    image.info = {}
    image.save(file, "PNG", compress_level=1)
    return file.getvalue()


def _kitty(image: "Image.Image") -> str:
    """Encode an image; see https://sw.kovidgoyal.net/kitty/graphics-protocol/."""
    data = standard_b64encode(_png(image)).decode()
    chunks = [data[start : start + _CHUNK] for start in range(0, len(data), _CHUNK)]
    more = [1] * (len(chunks) - 1) + [0]
    first = "a=T,f=100,q=2,"  # display a PNG, and suppress the answer
    return "".join(
        f"\x1b_G{'' if number else first}m={more[number]};{chunk}\x1b\\" for number, chunk in enumerate(chunks)
    )


def _iterm2(image: "Image.Image") -> str:
    """Encode an image; see https://iterm2.com/documentation-images.html."""
    data = _png(image)
    return f"\x1b]1337;File=inline=1;size={len(data)}:{standard_b64encode(data).decode()}\x07"


def _sixel(image: "Image.Image") -> str:
    """Encode an image as sixels, which are columns of six pixels: one run of characters for each color in six rows."""
    import numpy as np

    from stylekit.images.colors import on_white

    small = (on_white(image) if image.mode == "RGBA" else image).quantize(_COLORS)
    palette = np.array(small.getpalette(), int).reshape(-1, 3) * 100 // 255
    pixels = np.asarray(small)
    colors = "".join(f"#{number};2;{r};{g};{b}" for number, (r, g, b) in enumerate(palette))
    parts = [f'\x1bPq"1;1;{small.width};{small.height}{colors}']
    for top in range(0, len(pixels), 6):
        band = pixels[top : top + 6]
        bits = (1 << np.arange(len(band), dtype=np.uint8))[:, None]
        for color in np.unique(band):
            sixels = (63 + ((band == color) * bits).sum(axis=0)).astype(np.uint8).tobytes().decode()
            runs = re.sub(r"(.)\1{3,}", lambda run: f"!{len(run[0])}{run[1]}", sixels)
            parts.append(f"#{color}{runs}$")
        parts.append("-")
    return "".join([*parts, "\x1b\\"])


def _open_in_viewer(path: Path) -> bool:
    """Open a file with the system's viewer, and return whether the viewer seems to have started."""
    if sys.platform == "win32":
        try:
            os.startfile(path)  # noqa: S606 - the program that the user chose for images
        except OSError:
            return False
        return True
    has_display = sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    opener = shutil.which("open" if sys.platform == "darwin" else "xdg-open")
    if not has_display or opener is None:
        return False
    try:
        viewer = subprocess.Popen(  # noqa: S603 - an absolute path is not an option
            [opener, str(path.absolute())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        return viewer.wait(_VIEWER_SECONDS) == 0
    except subprocess.TimeoutExpired:  # the viewer is still running, so it has started
        return True
    except OSError:
        return False

"""Try an installed stylekit where no network can be reached.

    python .ci/smoke.py PHOTO [--torch]

Runs the command that belongs to this Python in an empty folder, with a home of its own. Any process that tries to
connect to anything fails. Without --torch, torch must not be installed, and a command that needs it must say how to
install it; with --torch, that command must work.
"""

import json
import os
import subprocess
import sys
import sysconfig
import tempfile
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from PIL import Image

NO_NETWORK = """
import socket

def refuse(*arguments):
    raise AssertionError("the network was tried")

socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
"""
GATYS = ("--size", "64", "--steps", "1", "--loss-network", "compact", "--output", "optimized.png")


def main() -> None:
    """Run the commands and look at their results."""
    photo = Path(sys.argv[1]).resolve()
    with_torch = "--torch" in sys.argv
    assert (find_spec("torch") is not None) == with_torch, "the environment is not the one that was asked for"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "refusal").mkdir()
        (folder / "refusal" / "sitecustomize.py").write_text(NO_NETWORK)  # which every Python process imports
        home, refusal = str(folder / "home"), str(folder / "refusal")
        environment = {**os.environ, "PYTHONPATH": refusal, "STYLEKIT_HOME": home}

        def stylekit(*arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
            command = Path(sysconfig.get_path("scripts")) / "stylekit"
            done = subprocess.run(
                [command, *arguments], cwd=folder, env=environment, check=False, capture_output=True, text=True
            )
            assert done.returncode == code, (arguments, done.returncode, done.stdout, done.stderr)
            return done

        assert stylekit("--version").stdout == f"stylekit {version('neural-stylekit')}\n"
        styles = json.loads(stylekit("styles", "list", "--json").stdout)["styles"]
        assert len(styles) >= 12, styles
        for options in ([], ["--engine", "torch"] if with_torch else []):
            stylekit("apply", str(photo), "--style", "starry-night", "--output", "painted.jpg", "--overwrite", *options)
            with Image.open(folder / "painted.jpg") as painted, Image.open(photo) as original:
                assert painted.size == original.size
        gatys = stylekit("gatys", str(photo), str(photo), *GATYS, code=0 if with_torch else 1)
        assert (folder / "optimized.png").is_file() == with_torch
        assert with_torch or "neural-stylekit[torch]" in gatys.stderr, gatys.stderr
        assert "packages" in json.loads(stylekit("info", "--json").stdout)
    print(f"stylekit {version('neural-stylekit')} paints without a network{' or torch' if not with_torch else ''}")


if __name__ == "__main__":
    main()

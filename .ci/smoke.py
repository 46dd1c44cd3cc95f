"""Try an installed stylekit where no network can be reached.

    python .ci/smoke.py PHOTO

Runs the command that belongs to this Python in an empty folder, with a home of its own. Whatever process tries to
connect to anything, fails.
"""

import json
import os
import subprocess
import sys
import sysconfig
import tempfile
from importlib.metadata import version
from pathlib import Path

from PIL import Image

NO_NETWORK = """
import socket

def refuse(*arguments):
    raise AssertionError("the network was tried")

socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
"""


def main() -> None:
    """Run the commands and look at what they give."""
    photo = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "refusal").mkdir()
        (folder / "refusal" / "sitecustomize.py").write_text(NO_NETWORK)  # which every Python process imports
        home, refusal = str(folder / "home"), str(folder / "refusal")
        environment = {**os.environ, "PYTHONPATH": refusal, "STYLEKIT_HOME": home}

        def stylekit(*arguments: str) -> str:
            command = Path(sysconfig.get_path("scripts")) / "stylekit"
            return subprocess.run(
                [command, *arguments], cwd=folder, env=environment, check=True, stdout=subprocess.PIPE, text=True
            ).stdout

        assert stylekit("--version") == f"stylekit {version('neural-stylekit')}\n"
        styles = [style["name"] for style in json.loads(stylekit("styles", "list", "--json"))["styles"]]
        assert len(styles) >= 12, styles
        for options in ([], ["--engine", "torch"]):
            stylekit("apply", str(photo), "--style", "starry-night", "--output", "painted.jpg", "--overwrite", *options)
            with Image.open(folder / "painted.jpg") as painted, Image.open(photo) as original:
                assert painted.size == original.size
        few = ("--size", "64", "--steps", "1", "--loss-network", "compact")
        stylekit("gatys", str(photo), str(photo), "--output", "optimised.png", *few)
        assert (folder / "optimised.png").is_file()
        assert "packages" in json.loads(stylekit("info", "--json"))
    print(f"stylekit {version('neural-stylekit')} paints without a network")


if __name__ == "__main__":
    main()

"""Measure the way from the shell to the file: how long a command takes besides the network, and what is paid once.

    python benchmarks/start.py [--runs 5] [--plain]

These commands take turns: Python alone, `stylekit --version`, and `stylekit apply` on a photo of 64 × 64 px and on one
of a megapixel, each with an empty cache (the first run of a style) and with the style's network in the cache (every
later run). With `--plain`, also a plain script that imports torch and torchvision and runs johnson in eager mode. It
prints the median seconds by the clock and of processor time. Only the latter means much on a busy machine.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from roofline import PLAIN_SCRIPT, make_photo


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--plain", action="store_true", help="also measure the plain script, which takes long")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ.update(STYLEKIT_HOME=str(folder / "home"), PYTHONPYCACHEPREFIX=str(folder / "compiled"))
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # installers compile modules, and so does the first round
        small, large, painted = (folder / f"{photo}.jpg" for photo in ("small", "large", "painted"))
        make_photo(small, 64 * 64 / 1e6)
        make_photo(large, 1)
        apply = ["-m", "stylekit", "apply", "--device", "cpu", "--overwrite", "--output", str(painted)]
        commands = {
            "python alone": ["-c", "pass"],
            "stylekit --version": ["-m", "stylekit", "--version"],
            "apply, 64 px, first run": [*apply, str(small)],
            "apply, 64 px": [*apply, str(small)],
            "apply, 1 megapixel, first run": [*apply, str(large)],
            "apply, 1 megapixel": [*apply, str(large)],
        }
        if options.plain:
            commands["plain script, 1 megapixel"] = ["-c", PLAIN_SCRIPT, str(large), str(painted)]
        rounds = [
            {label: measure(command, folder / "home", label) for label, command in commands.items()}
            for _ in range(options.runs + 1)
        ][1:]
    medians = {
        label: [statistics.median(times[label][kind] for times in rounds) for kind in (0, 1)] for label in commands
    }
    print(f"{'':32} by the clock   processor time")
    for label, (clock, processor) in medians.items():
        print(f"{label:32} {clock:10.3f} s {processor:14.3f} s")
    beyond = [a - b for a, b in zip(medians["apply, 64 px"], medians["python alone"], strict=True)]
    print(
        f"a small photo takes {beyond[0]:.3f} s by the clock beyond Python's start, {beyond[1]:.3f} s of processor time"
    )
    if options.plain:
        times = zip(medians["plain script, 1 megapixel"], medians["apply, 1 megapixel"], strict=True)
        clock, processor = (plain / own for plain, own in times)
        print(f"the plain script takes {clock:.1f} times as long by the clock, {processor:.1f} times in processor time")


def measure(command: list[str], home: Path, label: str) -> tuple[float, float]:
    """Return the seconds that a command takes, by the clock and of processor time."""
    if label.endswith("first run"):
        shutil.rmtree(home, ignore_errors=True)
    before, began = os.times(), time.perf_counter()
    subprocess.run([sys.executable, *command], check=True, capture_output=True)
    clock, after = time.perf_counter() - began, os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return clock, spent


if __name__ == "__main__":
    main()

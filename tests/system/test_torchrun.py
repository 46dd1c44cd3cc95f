"""The real torchrun, on one machine."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from stylekit.styles.locations import own_styles_dir
from tests.training_material import metrics, tiny_config, write_material

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has other signals")

PATIENCE = 120  # seconds after which a run has failed


def start(*arguments, processes, restarts=0):
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--local-addr", "127.0.0.1"]
    shape = ["--nproc-per-node", str(processes), "--max-restarts", str(restarts)]
    return subprocess.Popen(
        [*torchrun, *shape, "-m", "stylekit", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def finish(process):
    """Wait for the end; return exit code, lines of standard output, and standard error."""
    try:
        out, err = process.communicate(timeout=PATIENCE)
    finally:
        process.terminate()  # torchrun stops its processes too
    return process.returncode, out.splitlines(), err


def rank_of(process):
    try:
        return process.environ().get("RANK")
    except psutil.Error:
        return None


def test_two_processes_train_one_style(tmp_path, make_photo, vgg_weights):
    material = write_material(tmp_path / "material", make_photo, vgg_weights)
    config = tiny_config(material)
    run_dir = tmp_path / "run"
    code, out, err = finish(
        start(
            *("train", material.painting, "--content", material.photos, "--name", "wave", "--run-dir", run_dir),
            *("--steps", "4", "--batch-size", "1", "--crop-size", "32", "--style-size", "32", "--octaves", "1"),
            *("--content-layers", ",".join(config.content_layers), "--style-layers", ",".join(config.style_layers)),
            *("--loss-weights", material.weights, "--preview", material.preview, "--device", "cpu"),
            processes=2,
        )
    )
    assert code == 0, err
    assert out == [f"{run_dir}/wave.safetensors"]
    assert [line.split()[1] for line in err.splitlines() if line.startswith("step ")] == ["1/4", "2/4", "3/4", "4/4"]
    assert len(metrics(run_dir)) == 4
    assert (own_styles_dir() / "wave.safetensors").is_file()


def test_a_batch_with_a_process_killed_halfway_is_finished(tmp_path, make_photo):
    photos, painted, report = tmp_path / "photos", tmp_path / "painted", tmp_path / "report.jsonl"
    photos.mkdir()
    for number in range(24):
        make_photo(640, 480, number).save(photos / f"{number:02d}.jpg")
    (photos / "bad.jpg").write_bytes(b"no image")
    share = sorted(photos.iterdir())[1::2]
    outputs = [painted / f"{photo.stem}-starry-night.jpg" for photo in share]
    process = start(
        *("apply", photos, "-o", painted, "--report", report, "--device", "cpu", "--jobs", "0"), processes=2, restarts=1
    )
    deadline = time.monotonic() + PATIENCE
    while not outputs[0].exists():
        assert process.poll() is None and time.monotonic() < deadline, finish(process)
        time.sleep(0.01)
    (victim,) = [child for child in psutil.Process(process.pid).children() if rank_of(child) == "1"]
    victim.send_signal(signal.SIGKILL)
    halfway = [path.exists() for path in outputs]
    code, _, err = finish(process)
    assert code == 0, err
    assert not all(halfway)
    assert sorted(path.name for path in painted.iterdir()) == [f"{number:02d}-starry-night.jpg" for number in range(24)]
    parts = [tmp_path / f"report.{rank}.jsonl" for rank in range(2)]
    assert sorted(tmp_path.glob("report*")) == parts
    lines = [json.loads(line) for part in parts for line in part.read_text().splitlines()]
    assert {Path(line["source"]) for line in lines} == set(photos.iterdir())
    assert {Path(line["source"]).name for line in lines if line["status"] == "failed"} == {"bad.jpg"}
    assert f"failed {photos / 'bad.jpg'}: " in err

"""`stylekit train` as it is typed: options, messages, exit codes, and Ctrl-C."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stylekit.cli.app import run
from stylekit.config.train import TRAIN_PRESETS, TrainConfig
from stylekit.styles.style_file import Credits
from stylekit.stylization.style import load_style
from tests.training_material import metrics, tiny_config, write_material

pytestmark = pytest.mark.usefixtures("one_thread")

STEPS = 6
PATIENCE = 60  # seconds after which a training in another process is given up


@pytest.fixture
def material(tmp_path, make_photo, vgg_weights, monkeypatch):
    """Return photos, a painting and weights to train with; the working folder is empty."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return write_material(tmp_path / "material", make_photo, vgg_weights)


def tiny_options(material, steps=STEPS):
    """Return the options of `tiny_config`."""
    config = tiny_config(material)
    return [
        *("--steps", str(steps), "--batch-size", "1", "--crop-size", str(config.crop_size), "--octaves", "1"),
        *("--style-size", str(config.style_size), "--content-layers", ",".join(config.content_layers)),
        *("--style-layers", ",".join(config.style_layers), "--device", "cpu"),
        *("--loss-weights", str(material.weights), "--preview", str(material.preview)),
    ]


@dataclass
class Answer:
    """The outcome of a command: exit code, standard output, lines of standard error."""

    code: int
    out: str
    err: list[str]

    @property
    def document(self):
        return json.loads(self.out)


@pytest.fixture
def train(material, capsys):
    """Return a function that runs `stylekit train` and returns its `Answer`."""

    def train(*options, painting=None, content=None):
        capsys.readouterr()
        code = run(
            [
                "train",
                str(painting or material.painting),
                "--content",
                str(content or material.photos),
                *map(str, options),
            ]
        )
        out, err = capsys.readouterr()
        return Answer(code, out, err.splitlines())

    return train


@pytest.fixture
def asked(monkeypatch):
    """Replace `train_style` and return the arguments that it gets."""
    calls: dict[str, Any] = {}

    def train_style(painting, photos, config, **keywords):
        calls.update(painting=painting, photos=photos, config=config, **keywords)

    monkeypatch.setattr("stylekit.training.train.train_style", train_style)
    return calls


def assert_failure(answer, code, error, hint=""):
    """Check a known failure: one line that says what is wrong, at most one with a hint, no traceback."""
    assert answer.code == code
    failures = [line for line in answer.err if line.startswith(("error:", "hint:", "Traceback"))]
    assert [line.partition(":")[0] for line in failures] == ["error", "hint"][: len(failures)]
    assert error in failures[0]
    assert hint in failures[-1]
    assert "Traceback" not in "\n".join(answer.err)


def words(value):
    """Return a test's options as its name."""
    return " ".join(value) if isinstance(value, list) else None


# --- Options


@pytest.mark.parametrize(
    ("options", "changes"),
    [
        ([], {}),
        (["--network", "johnson"], {"network": "johnson"}),
        (["--steps", "7"], {"steps": 7}),
        (["--batch-size", "3"], {"batch_size": 3}),
        (["--crop-size", "128"], {"crop_size": 128}),
        (["--style-size", "300"], {"style_size": 300}),
        (["--octaves", "1"], {"octaves": 1}),
        (["--content-layers", "relu2_2, relu3_3"], {"content_layers": ("relu2_2", "relu3_3")}),
        (["--style-layers", "relu1_1:0.5,relu2_1"], {"style_layers": {"relu1_1": 0.5, "relu2_1": 1.0}}),
        (["--content-weight", "2"], {"content_weight": 2.0}),
        (["--style-weight", "1e1"], {"style_weight": 10.0}),
        (["--tv-weight", "0"], {"tv_weight": 0.0}),
        (["--stability-weight", "50"], {"stability_weight": 50.0}),
        (["--lr", "0.001"], {"learning_rate": 0.001}),
        (["--pooling", "avg"], {"pooling": "avg"}),
        (["--precision", "bfloat16"], {"precision": "bfloat16"}),
        (["--seed", "0"], {"seed": 0}),
        (["--seed", "41"], {"seed": 41}),
        (["--device", "cuda:1"], {"device": "cuda:1"}),
        (["--loss-weights", "a/vgg.pth"], {"loss_weights": "a/vgg.pth"}),
        (["--loss-network", "compact"], {"loss_network": "compact"}),
        (["--init-from", "wave"], {"init_from": "wave"}),
        (["--preset", "draft"], TRAIN_PRESETS["draft"]),
        (["--preset", "best"], TRAIN_PRESETS["best"]),
        (["--preset", "good"], {}),
        (["--preset", "draft", "--steps", "9"], {**TRAIN_PRESETS["draft"], "steps": 9}),
    ],
    ids=words,
)
def test_options_take_precedence_over_presets_and_these_over_defaults(train, asked, options, changes):
    assert train(*options).code == 0
    assert asked["config"] == TrainConfig(**changes)


def test_presets_differ_in_how_long_they_take():
    steps = [TrainConfig.from_preset(preset).steps for preset in ("draft", "good", "best")]
    assert steps == sorted(set(steps))


def test_painting_previews_credits_and_flags_are_passed_to_the_training(train, asked, material, tmp_path):
    previews = [shutil.copy(material.preview, tmp_path / name) for name in ("a.jpg", "b.jpg")]
    credits = {"title": "The Wave", "artist": "Hokusai", "year": "1831", "licence": "CC0-1.0", "source": "a museum"}
    texts = [text for key, value in credits.items() for text in (f"--{key}", value)]
    train(
        *texts,
        "--preview",
        previews[0],
        "--preview",
        previews[1],
        "--force",
        "--name",
        "wave",
        "--run-dir",
        "elsewhere",
    )
    assert asked["painting"] == material.painting
    assert asked["photos"] == str(material.photos)
    assert asked["credits"] == Credits(**credits)
    assert asked["previews"] == previews
    assert (asked["force"], asked["resume"]) == (True, False)
    assert (asked["name"], asked["run_dir"]) == ("wave", Path("elsewhere"))


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("wave.png", "wave"),
        ("The Great Wave (1831).jpg", "the-great-wave-1831"),
        ("starry_night-2.png", "starry_night-2"),
        ("--Café--.png", "caf"),
        ("東京.png", "style"),
    ],
)
def test_without_a_name_the_style_has_the_name_of_the_painting(train, asked, material, tmp_path, file, name):
    answer = train(painting=shutil.copy(material.painting, tmp_path / file))
    assert answer.code == 0
    assert asked["name"] == name
    assert asked["run_dir"] == Path("runs") / name
    assert answer.out == f"{Path('runs') / name / name}.safetensors\n"


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--preset", "great"], "great"),
        (["--steps", "0"], "--steps must be 1 or more, not 0"),
        (["--steps", "many"], "--steps must be a whole number, not 'many'"),
        (["--batch-size", "-1"], "--batch-size"),
        (["--crop-size", "16"], "--crop-size must be 32 or more, not 16"),
        (["--crop-size", "32", "--octaves", "2"], "octaves"),
        (["--octaves", "5"], "octaves"),
        (["--lr", "0"], "--lr must be greater than 0"),
        (["--minutes", "1"], "--minutes and --steps exclude each other"),
        (["--lr", "nan"], "--lr"),
        (["--style-weight", "inf"], "--style-weight"),
        (["--seed", "-1"], "seed"),
        (["--pooling", "median"], "median"),
        (["--precision", "float64"], "--precision must be"),
        (["--device", "tpu"], "tpu"),
        (["--network", "resnet"], "resnet"),
        (["--content-layers", "relu9_9"], "relu9_9"),
        (["--content-layers", "relu2_1:0.5"], "--content-layers takes no weights"),
        (["--style-layers", "relu1_1:x"], "'x'"),
        (["--style-layers", "relu1_1:-1"], "--style-layers"),
        (["--style-layers", "relu1_1:inf"], "--style-layers"),
        (["--style-layers", "conv1"], "conv1"),
        (["--name", "Great Wave"], "Great Wave"),
        (["--no-such-option"], "--no-such-option"),
    ],
    ids=words,
)
def test_wrong_usage_ends_with_2_and_makes_no_run_folder(train, material, options, named):
    answer = train(*tiny_options(material, steps=1), *options)  # an option given twice has its last value
    assert answer.code == 2
    errors = [line for line in answer.err if line.startswith("error: ")]
    assert len(errors) == 1
    assert named in errors[0]
    assert not Path("runs").exists()


def test_a_training_without_photos_is_wrong_usage(capsys):
    assert run(["train", "painting.png"]) == 2
    assert "Missing --content." in capsys.readouterr().err


# --- Failures


def test_a_missing_folder_of_photos_is_one_error_and_one_hint(train):
    answer = train(content="nowhere")
    assert_failure(answer, 1, "nowhere does not exist", "coco")
    assert answer.out == ""


@pytest.mark.parametrize(
    ("painting", "message"),
    [
        ("nowhere.png", "nowhere.png does not exist"),
        (".", ". is a folder"),
        ("n" * 300 + ".png", "absent"),  # the weights come first: the painting is checked when it is read
    ],
)
def test_a_painting_that_cannot_be_read_is_one_error(train, painting, message):
    answer = train("--name", "x", "--loss-weights", "absent", painting=painting)
    assert_failure(answer, 1, message)


def test_a_missing_preview_is_noticed_before_weights_are_downloaded(train):
    assert_failure(train("--loss-weights", "absent", "--preview", "no.png"), 1, "no.png does not exist")


def test_too_few_photos_are_one_error_and_one_hint(train, material, tmp_path):
    (tmp_path / "empty").mkdir()
    answer = train(*tiny_options(material), content=tmp_path / "empty")
    assert_failure(answer, 1, "2 or more readable photos: 0 found", "coco")


def test_a_diverging_training_is_one_error_and_one_hint(train, material):
    assert_failure(train(*tiny_options(material), "--lr", "1e30"), 1, "no longer finite", "--lr")


@pytest.mark.parametrize(
    ("options", "content", "kind", "code"),
    [
        ([], "nowhere", "DatasetError", 1),
        (["--steps", "0"], None, "ConfigError", 2),
        (["--steps", "many"], None, "ConfigError", 2),
    ],
)
def test_with_json_a_failure_is_a_document_too(train, options, content, kind, code):
    answer = train("--json", *options, content=content)
    assert answer.code == code
    error = answer.document["error"]
    assert error["type"] == kind
    assert f"error: {error['message']}" in answer.err
    assert not error["hint"] or answer.err[-1] == f"hint: {error['hint']}"


def test_unreadable_photos_are_named(train, material):
    for number in range(4):
        (material.photos / f"{number} damaged.jpg").write_bytes(b"not an image")
    answer = train(*tiny_options(material, steps=8), "--quiet")
    assert answer.code == 0
    assert [line for line in answer.err if " damaged.jpg" in line]


# --- A whole training


def test_a_training_prints_the_path_of_the_style_and_some_lines_about_its_steps(train, material):
    answer = train(*tiny_options(material))
    assert answer.code == 0
    assert answer.out == "runs/the-great-wave-1831/the-great-wave-1831.safetensors\n"
    assert Path(answer.out.strip()).is_file()
    assert load_style("the-great-wave-1831").metadata.trained_with["steps"] == STEPS
    steps = [line for line in answer.err if line.startswith("step ")]
    assert [line.split()[1] for line in steps] == [f"{step}/{STEPS}" for step in range(1, STEPS + 1)]
    total = metrics(Path("runs/the-great-wave-1831"))[-1, 1]
    assert f"total {total:.3f}" in steps[-1]
    assert answer.err[-1].endswith("stylekit apply PHOTO --style the-great-wave-1831")
    assert "\x1b" not in "".join(answer.err)


def test_a_long_training_prints_few_lines(train, monkeypatch):
    from stylekit.training.train import StepReport

    def train_style(painting, photos, config, *, on_step, **keywords):
        for step in range(1, config.steps + 1):
            on_step(StepReport(step, config.steps, 1.0, 0.5, 0.025, 0.1, step))

    monkeypatch.setattr("stylekit.training.train.train_style", train_style)
    lines = [line for line in train("--steps", "1000").err if line.startswith("step ")]
    assert len(lines) == 20
    assert lines[0] == "step 50/1000  0:00:50, 0:15:50 left  total 1.000  content 0.500  style 0.0250"
    assert lines[-1] == "step 1000/1000  0:16:40, 0:00:00 left  total 1.000  content 0.500  style 0.0250"


@pytest.mark.parametrize("options", [["--quiet"], ["--json"], []], ids=words)
def test_a_terminal_gets_a_live_bar_instead_of_lines_unless_quiet_or_json(train, material, monkeypatch, options):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "160")
    answer = train(*tiny_options(material, steps=3), "--name", "wave", *options)
    shown = "\n".join(answer.err)
    total, content, style, _ = metrics(Path("runs/wave"))[-1, 1:]
    last = f"total {total:.3f}  content {content:.3f}  style {style:.4f}"
    assert (last in shown and "3/3" in shown) == (options != ["--quiet"])
    assert ("\x1b" in shown) == (not options)
    assert bool([line for line in answer.err if line.startswith("step 3/3")]) == (options == ["--json"])


def test_quiet_prints_the_path_alone(train, material):
    answer = train(*tiny_options(material, steps=2), "--quiet", "--name", "wave")
    assert (answer.code, answer.out, answer.err) == (0, "runs/wave/wave.safetensors\n", [])


def test_with_json_the_result_is_one_document(train, material):
    answer = train(*tiny_options(material, steps=2), "--json", "--name", "wave", "--run-dir", "elsewhere")
    assert answer.document == {"name": "wave", "path": "elsewhere/wave.safetensors", "run_dir": "elsewhere"}


# --- Run folders and --resume


def started(train, material, *options, steps=STEPS):
    """Train in `runs/wave`, interrupt it after two steps, and return the options."""
    used = [*tiny_options(material, steps), "--name", "wave", *options]
    with pytest.MonkeyPatch.context() as patch:
        signal_at(patch, 2, signal.SIGINT)
        assert train(*used).code == 130
    return used


def signal_at(patch, step, *signals):
    """Send signals during a step of the next trainings."""
    from stylekit.training.train import train_style

    def train_and_signal(*arguments, on_step, **keywords):
        def show(report):
            on_step(report)
            if report.step == step:
                for number in signals:
                    signal.raise_signal(number)

        return train_style(*arguments, on_step=show, **keywords)

    patch.setattr("stylekit.training.train.train_style", train_and_signal)


def test_a_run_folder_is_not_reused_without_resume(train, material):
    options = [*tiny_options(material, steps=2), "--name", "wave"]
    assert train(*options).code == 0
    style = Path("runs/wave/wave.safetensors").read_bytes()
    assert_failure(train(*options, "--force"), 2, f"{Path('runs/wave')} already exists", "--resume")
    assert Path("runs/wave/wave.safetensors").read_bytes() == style


def test_resuming_without_a_checkpoint_is_an_error(train, material):
    assert_failure(train("--resume"), 2, "No training run to resume", "--resume")
    assert not Path("runs").exists()


def test_the_same_command_with_resume_continues(train, material):
    options = started(train, material)
    answer = train(*options, "--resume")
    assert answer.code == 0
    assert [line.split()[1] for line in answer.err if line.startswith("step ")] == ["3/6", "4/6", "5/6", "6/6"]
    assert train(*options, "--resume").code == 0  # and once more, though nothing is left to do


def test_resume_needs_no_options_again(train, material):
    started(train, material, "--preset", "draft", "--lr", "0.001")
    assert train("--resume", "--name", "wave", "--preview", str(material.preview)).code == 0
    trained_with = load_style("wave").metadata.trained_with
    assert (trained_with["steps"], trained_with["learning_rate"]) == (STEPS, 0.001)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--steps", "7"], "a different --steps."),
        (["--style-layers", "relu1_1"], "a different --style-layers."),
        (["--network", "johnson", "--lr", "1"], "a different --network, --lr."),
        (["--preset", "best"], "--crop-size"),
        (["--preset", "good"], "--steps"),
        (["--preset", "no such preset"], "no such preset"),
    ],
    ids=words,
)
def test_resume_with_a_contradicting_option_is_refused_and_names_it(train, material, options, named):
    started(train, material)
    before = metrics(Path("runs/wave"))
    assert_failure(train("--resume", "--name", "wave", "--preview", str(material.preview), *options), 2, named)
    assert np.array_equal(metrics(Path("runs/wave")), before)


# --- Ctrl-C


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_training_after_the_step_with_a_checkpoint(train, material, monkeypatch, number):
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    signal_at(monkeypatch, 3, number)
    answer = train(*tiny_options(material), "--name", "wave")
    assert answer.code == 130
    assert answer.out == ""
    assert len(metrics(Path("runs/wave"))) == 3
    assert Path("runs/wave/checkpoint.safetensors").is_file()
    assert not Path("runs/wave/wave.safetensors").exists()
    assert [line for line in answer.err if "runs/wave" in line and "--resume" in line]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers


def test_a_second_signal_does_not_wait_for_the_checkpoint(train, material, monkeypatch):
    signal_at(monkeypatch, 3, signal.SIGINT, signal.SIGINT)
    answer = train(*tiny_options(material), "--name", "wave")
    assert answer.code == 130
    assert len(metrics(Path("runs/wave"))) == 3
    assert not Path("runs/wave/checkpoint.safetensors").exists()


def test_without_a_checkpoint_none_is_announced(train, material, monkeypatch):
    signal_at(monkeypatch, 3, signal.SIGINT, signal.SIGINT)
    answer = train(*tiny_options(material), "--name", "wave")
    assert answer.code == 130
    assert [line for line in answer.err if "checkpoint in" in line] == []


def test_with_json_an_interruption_is_a_document(train, material, monkeypatch):
    signal_at(monkeypatch, 2, signal.SIGINT)
    answer = train(*tiny_options(material), "--name", "wave", "--json")
    assert answer.code == 130
    assert answer.document["error"]["message"] == "Interrupted."


def wait_for_steps(run_dir, steps, process):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        path = run_dir / "metrics.csv"
        if path.is_file() and len(path.read_text().splitlines()) > steps:
            return
        time.sleep(0.02)
    raise AssertionError(f"no {steps} steps in {PATIENCE} s, or the training ended: {process.poll()}")


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent in another way there")
def test_a_training_interrupted_from_the_keyboard_resumes_to_the_same_result(train, material):
    options = tiny_options(material, steps=40)
    command = [sys.executable, "-m", "stylekit", "train", str(material.painting), "--content", str(material.photos)]
    process = subprocess.Popen(
        [*command, *options, "--name", "wave"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        wait_for_steps(Path("runs/wave"), 3, process)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert process.returncode == 130
    assert out == ""
    assert "Traceback" not in err
    assert [line for line in err.splitlines() if "runs/wave" in line and "--resume" in line]
    assert err.splitlines()[-1] == "error: Interrupted."
    done = len(metrics(Path("runs/wave")))
    assert 3 <= done < 40

    assert train(*options, "--name", "wave", "--resume").code == 0
    assert train(*options, "--name", "whole").code == 0
    resumed, unbroken = metrics(Path("runs/wave")), metrics(Path("runs/whole"))
    assert np.array_equal(resumed[:, 0], np.arange(1, 41))
    assert np.abs(resumed - unbroken).max() < 1e-4

"""What every plan has in common, whatever the files, folders and styles are called."""

import os
import tempfile
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hypothesis import event, given, settings
from hypothesis import strategies as st

from stylekit.apply.inputs import INPUT_SUFFIXES
from stylekit.apply.plan import Plan, plan_outputs
from stylekit.config.apply import ApplyConfig
from stylekit.errors import ConfigError, ImageError

# Few and similar names, so that many of them collide: by case, by Unicode form, and with names that results have.
STEMS = ["a", "A", "\N{LATIN SMALL LETTER E WITH ACUTE}", "e\N{COMBINING ACUTE ACCENT}", "a-x", "a-jpg"]
SUFFIXES = [".jpg", ".JPG", ".heic", ".mp4", ".txt"]
FOLDERS = ["", "x", "X", "x/y", "out"]
LABELS = ["x", "x-x", "jpg", "2"]

FILES = st.tuples(st.sampled_from(FOLDERS), st.sampled_from(STEMS), st.sampled_from(SUFFIXES)).map(
    lambda parts: Path(parts[0], parts[1] + parts[2])
)


@dataclass(frozen=True)
class Case:
    """The files of a tree, and what `apply` is asked to do with some of them."""

    files: tuple[Path, ...]
    inputs: tuple[Path, ...]
    output: Path | None
    labels: tuple[str, ...]
    config: ApplyConfig


@st.composite
def cases(draw) -> Case:
    files = draw(st.lists(FILES, min_size=1, max_size=8, unique=True))
    folders = sorted({parent for file in files for parent in file.parents})
    return Case(
        files=tuple(files),
        inputs=tuple(draw(st.lists(st.sampled_from([*folders, *files]), min_size=1, max_size=4))),
        output=draw(st.sampled_from([None, Path("out"), Path("x/out"), Path("elsewhere"), Path("x")])),
        labels=tuple(draw(st.lists(st.sampled_from(LABELS), min_size=1, max_size=2, unique=True))),
        config=ApplyConfig(
            format=draw(st.sampled_from([None, "png", "jpeg"])), recursive=draw(st.booleans()), overwrite=True
        ),
    )


def plan_in(root: Path, case: Case) -> Plan | None:
    """Return the plan, or None if it is refused with a reason."""
    output = None if case.output is None else f"{root / case.output}/"
    try:
        return plan_outputs([root / path for path in case.inputs], output, list(case.labels), case.config)
    except (ConfigError, ImageError) as error:
        assert error.message
        event(error.message.partition(" ")[0] if isinstance(error, ImageError) else "refused")
        return None


@contextmanager
def tree_of(case: Case) -> Iterator[Path]:
    """Yield a temporary folder with the files of a case."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        for file in case.files:
            (root / file).parent.mkdir(parents=True, exist_ok=True)
            (root / file).write_bytes(b"not opened")
        yield root


def given_files(root: Path, case: Case) -> set[Path]:
    """Return the files that the inputs stand for."""
    found = set()
    for path in case.inputs:
        folder = root / path
        inside = folder.rglob("*") if case.config.recursive else folder.glob("*")
        found |= {folder} if folder.is_file() else {file for file in inside if file.suffix.lower() in INPUT_SUFFIXES}
    return {file.resolve() for file in found if file.is_file()}


def spelled(path: Path) -> str:
    """Return the same string for all paths that mean one file where case and Unicode form are ignored."""
    return unicodedata.normalize("NFC", os.path.realpath(path)).casefold()


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(cases())
def test_every_plan_is_complete_unambiguous_and_harmless(case):
    with tree_of(case) as root:
        plan = plan_in(root, case)
        assert plan == plan_in(root, case)  # it depends on nothing but names
        if plan is None:
            return
        results = [path for planned in plan.inputs for path in planned.outputs]
        assert all(len(planned.outputs) == len(case.labels) for planned in plan.inputs)
        assert len({spelled(path) for path in results}) == len(results)
        sources = [planned.source.resolve() for planned in plan.inputs]
        assert len(set(sources)) == len(sources)
        assert not {os.path.realpath(path) for path in results} & {str(source) for source in sources}
        left_out = given_files(root, case) - set(sources)
        assert set(sources) <= given_files(root, case)
        others = {file for file in left_out if spelled(file) not in {spelled(path) for path in results}}
        assert len(others) == plan.ignored.get("in the output folder", 0)


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(cases())
def test_a_batch_that_is_run_again_has_the_same_results(case):
    with tree_of(case) as root:
        plan = plan_in(root, case)
        if plan is None:
            return
        for path in (path for planned in plan.inputs for path in planned.outputs):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        again = plan_in(root, case)
        assert again is not None
        assert {planned.source: planned.outputs for planned in again.inputs} == {
            planned.source: planned.outputs for planned in plan.inputs
        }

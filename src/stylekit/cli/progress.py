"""Progress bars: live on a terminal, silent elsewhere."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from rich.progress import ProgressColumn


class Bar(Protocol):
    """Progress as the commands report it."""

    def start(self, total: int) -> None:
        """Say how many steps there will be."""
        ...

    def advance(self, **fields: object) -> None:
        """Say that a step is done, with what is worth showing of it."""
        ...

    def reach(self, done: float, **fields: object) -> None:
        """Say how much is done, with what is worth showing of it."""
        ...

    def part(self, done: int, total: int, unit: str) -> None:
        """Say how much of the step at work is done, counted in a unit of its own; 0 is an unknown total."""
        ...


class _Silence:
    """The bar where none is to be seen."""

    def start(self, total: int) -> None:
        pass

    def advance(self, **fields: object) -> None:
        pass

    def reach(self, done: float, **fields: object) -> None:
        pass

    def part(self, done: int, total: int, unit: str) -> None:
        pass


def _columns(unit: str) -> Sequence["str | ProgressColumn"]:
    from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TextColumn, TimeRemainingColumn
    from rich.text import Text

    share, left, text = TextColumn("{task.percentage:3.0f} %"), TimeRemainingColumn(), TextColumn("{task.description}")
    if not unit:
        return (BarColumn(24), share, left, text)

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            counted = task.fields.get("unit", unit)
            return Text(f"{task.speed:.2f} {counted}/s" if task.speed else f"– {counted}/s")

    return (BarColumn(24), MofNCompleteColumn(), Rate(), left, text)


class _LiveBar:
    def __init__(self, progress: Any, template: str) -> None:
        self._progress = progress
        self._template = template
        self._task = progress.add_task("", total=None)
        self._part: Any = None

    def start(self, total: int) -> None:
        self._progress.update(self._task, total=total)

    def advance(self, **fields: object) -> None:
        if self._part is not None:
            self._progress.remove_task(self._part)
            self._part = None
        self._progress.update(self._task, advance=1, description=self._described(fields))

    def reach(self, done: float, **fields: object) -> None:
        self._progress.update(self._task, completed=done, description=self._described(fields))

    def part(self, done: int, total: int, unit: str) -> None:
        if self._part is None:
            self._part = self._progress.add_task("", completed=done, unit=unit)
        self._progress.update(self._part, completed=done, total=total or None)

    def _described(self, fields: Mapping[str, object]) -> str:
        from rich.markup import escape

        return escape(self._template.format(**fields))

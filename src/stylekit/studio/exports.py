"""Paint photos at full size for download, exactly as `stylekit apply` does, and pack several of them as a ZIP file."""

import dataclasses
import shutil
import threading
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stylekit.apply.plan import plan_outputs
from stylekit.apply.style_set import StyleSet
from stylekit.errors import StylekitError
from stylekit.images.formats import format_of_suffix
from stylekit.images.writing import save_photo
from stylekit.studio.choices import Choice
from stylekit.studio.decoding import Decoder
from stylekit.studio.networks import Networks
from stylekit.studio.photos import Upload
from stylekit.studio.styles import Styles
from stylekit.system.files import writing


@dataclass
class Export:
    """A download in preparation.

    Attributes:
        id: The id of the download.
        page: The page that requested the download.
        photos: The photos to paint.
        choice: The styles and the look.
        folder: A private folder for the results.
        state: `waiting`, `painting`, `done`, `failed` or `cancelled`.
        done: The number of photos that are painted or have failed.
        failures: The errors of the photos that failed.
        file: The file to download; None until `state` is `done`.
        cancelled: An event that cancels the download when set.
    """

    id: str
    page: str
    photos: Sequence[Upload]
    choice: Choice
    folder: Path
    state: str = "waiting"
    done: int = 0
    failures: list[StylekitError] = field(default_factory=list)
    file: Path | None = None
    cancelled: threading.Event = field(default_factory=threading.Event)

    def document(self) -> dict[str, Any]:
        """Return the state of the download as an event for the page."""
        failures = [{"message": error.message, "hint": error.hint} for error in self.failures]
        return {
            "type": "export",
            "id": self.id,
            "state": self.state,
            "done": self.done,
            "of": len(self.photos),
            "name": self.file.name if self.file else "",
            "failures": failures,
        }

    def delete(self) -> None:
        """Delete the files of the download."""
        shutil.rmtree(self.folder, ignore_errors=True)


def run_export(
    export: Export,
    styles: Styles,
    decoder: Decoder,
    networks: Networks,
    *,
    check: Callable[[], None],
    on_progress: Callable[[], None],
) -> None:
    """Paint the photos of an export, and pack several results into a ZIP file.

    A photo that fails leaves the others unaffected.

    Args:
        export: The export, whose state is updated.
        styles: The available styles.
        decoder: Decodes the photos.
        networks: The networks that paint the photos.
        check: Called often; an exception raised here ends the export.
        on_progress: Called after each change of the export's state.

    Raises:
        StylekitError: If nothing could be painted, or the results cannot be written.
    """
    on_progress()
    choice, chosen = export.choice, [styles.get(part.style) for part in export.choice.styles]
    results = export.folder / "results"
    with writing(export.folder, StylekitError):
        results.mkdir(parents=True, mode=0o700)
    style_set = StyleSet([style.reference for style in chosen], choice.shares, choice.config)
    plan = plan_outputs([photo.path for photo in export.photos], f"{results}/", style_set.labels, choice.config)
    painted = []
    for planned in plan.inputs:
        check()
        (output,) = planned.outputs
        try:
            photo = decoder(planned.source).photo
            style = networks.style([style.path for style in chosen], choice.shares, check)
            (pixels,) = style.stylize_batch([photo.pixels], choice.config.look)
            metadata = dataclasses.replace(photo.metadata, recipe=style_set.recipes.recipe(0, output))
            result = dataclasses.replace(photo, pixels=pixels, metadata=metadata)
            save_photo(result, output, format=format_of_suffix(output.suffix), quality=choice.config.quality)
            painted.append(output)
        except StylekitError as error:
            export.failures.append(error)
        export.done += 1
        on_progress()
    if not painted:
        raise export.failures[0]
    export.file = painted[0] if len(export.photos) == 1 else _zipped(painted, results, style_set.labels[0], check)
    export.state = "done"
    on_progress()


def _zipped(outputs: Sequence[Path], results: Path, label: str, check: Callable[[], None]) -> Path:
    """Move results into a ZIP file that is named after the style."""
    path = results.with_name(f"{label}.zip")
    with (
        writing(path, StylekitError),
        zipfile.ZipFile(path, "w") as archive,
    ):  # stored, because images are already compressed
        for output in outputs:
            check()
            archive.write(output, output.relative_to(results))
            output.unlink()
    return path

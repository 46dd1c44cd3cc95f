"""Paint in a single thread: first the previews that pages are waiting for, small before large, then downloads."""

import contextlib
import hashlib
import logging
import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from stylekit.errors import StylekitError
from stylekit.studio.choices import Choice
from stylekit.studio.decoding import Decoder
from stylekit.studio.events import Event
from stylekit.studio.exports import Export, run_export
from stylekit.studio.networks import Networks
from stylekit.studio.photos import Photos, Upload
from stylekit.studio.previews import Preview, PreviewCache, paint_preview
from stylekit.studio.styles import Styles

_MOST_EXPORTS = 12  # waiting, painting or ready to download

_log = logging.getLogger(__name__)


class _Dropped(Exception):
    """The current preview or download is no longer wanted."""


@dataclass(frozen=True)
class Want:
    """A preview that a page is waiting for.

    Attributes:
        photo: The photo to paint.
        choice: The styles and the look, at full strength.
        size: `small` or `large`.
    """

    photo: Upload
    choice: Choice
    size: str

    @property
    def key(self) -> str:
        """The name of the preview on the page."""
        return hashlib.sha256(repr((self.photo.id, self.choice, self.size)).encode()).hexdigest()[:24]


class Painter:
    """Paints previews and downloads for the pages.

    onnxruntime uses all processors for a single image, so one thread is as fast as several and takes less memory. A
    page sends its complete list of wanted previews, in order, whenever the list changes. Previews that no page wants
    any longer are dropped, even while they are being painted.

    Args:
        photos: The uploaded photos.
        styles: The styles to choose from.
        decoder: Decodes photos for downloads.
        folder: The private folder for downloads.
        send: Sends an event to a page.
    """

    def __init__(
        self, photos: Photos, styles: Styles, decoder: Decoder, folder: Path, send: Callable[[str, Event], None]
    ) -> None:
        """Start the thread."""
        self._photos = photos
        self._styles = styles
        self._decoder = decoder
        self._folder = folder
        self._send = send
        self._networks = Networks()
        self._changed = threading.Condition()
        self._wants: dict[str, tuple[Want, ...]] = {}
        self._previews = PreviewCache()
        self._exports: dict[str, Export] = {}
        self._to_warm = [style.path for style in reversed(styles.all())]
        self._is_closing = False
        self._thread = threading.Thread(target=self._work, name="painter", daemon=True)
        self._thread.start()

    def want(self, page: str, wants: Sequence[Want]) -> dict[str, Event]:
        """Replace the previews that a page wants.

        Returns:
            For each preview that is ready, by its key, the event that announces the preview.
        """
        with self._changed:
            ready = {want.key: preview for want in wants if (preview := self._previews.get(want.key)) is not None}
            self._wants[page] = tuple(want for want in wants if want.key not in ready)
            self._changed.notify_all()
        return {key: _announcement(key, preview) for key, preview in ready.items()}

    def forget(self, page: str) -> None:
        """Drop all work for a page that has closed."""
        with self._changed:
            self._wants.pop(page, None)
            for export in self._exports.values():
                if export.page == page and export.state in ("waiting", "painting"):
                    export.cancelled.set()
            self._changed.notify_all()

    def preview(self, key: str) -> Preview | None:
        """Return a preview that was announced; None if it is no longer cached."""
        with self._changed:
            return self._previews.get(key)

    def add_export(self, page: str, photos: Sequence[Upload], choice: Choice) -> Export:
        """Queue a download; its photos are painted after the previews.

        Raises:
            StylekitError: If too many downloads are waiting.
        """
        with self._changed:
            ended = [each for each in self._exports.values() if each.state not in ("waiting", "painting")]
            if len(self._exports) >= _MOST_EXPORTS:
                if not ended:
                    raise StylekitError("Too many downloads are waiting.", "Wait for them, or cancel some.")
                self._exports.pop(ended[0].id).delete()
            id = secrets.token_hex(8)
            export = self._exports[id] = Export(id, page, photos, choice, self._folder / f"export-{id}")
            self._changed.notify_all()
        return export

    def export(self, id: str) -> Export | None:
        """Return the download with this id; None if it does not exist."""
        with self._changed:
            return self._exports.get(id)

    def cancel(self, export: Export) -> None:
        """Cancel a download, either at once or, if it is being painted, before the next tile."""
        export.cancelled.set()
        with self._changed:
            is_waiting = export.state == "waiting"
            if is_waiting:
                export.state = "cancelled"
        if is_waiting:
            self._send(export.page, export.document())

    def close(self) -> None:
        """Stop the thread, and drop the current preview or download."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        self._thread.join()

    def _work(self) -> None:
        while (task := self._next()) is not None:
            try:
                task()
            except _Dropped:
                continue
            except Exception:  # a bug, which must not stop the work that follows
                _log.exception("The painter failed.")

    def _next(self) -> Callable[[], None] | None:
        with self._changed:
            while not self._is_closing:
                if (want := self._first_want()) is not None:
                    return lambda: self._paint(want)
                export = next((each for each in self._exports.values() if each.state == "waiting"), None)
                if export is not None:
                    export.state = "painting"
                    return lambda: self._run(export)
                if self._to_warm:
                    path = self._to_warm.pop()
                    return lambda: self._warm(path)
                self._changed.wait()
        return None

    def _first_want(self) -> Want | None:
        """Return the preview to paint next: the first preview of a page, small before large."""
        firsts = [wants[0] for wants in self._wants.values() if wants]
        return min(firsts, key=lambda want: want.size != "small", default=None)

    def _warm(self, path: Path) -> None:
        with contextlib.suppress(StylekitError):
            self._networks.load(path)

    def _paint(self, want: Want) -> None:
        try:
            preview = self._painted(want)
        except _Dropped:
            return
        except StylekitError as error:
            preview = Preview(error=error)
        except Exception as error:
            self._finish(want, Preview(error=StylekitError("Internal error: see the terminal.", repr(error)[:200])))
            raise
        self._finish(want, preview)

    def _painted(self, want: Want) -> Preview:
        self._check(want)
        photo = self._photos.reduced(want.photo.id)
        paths = [self._styles.get(part.style).path for part in want.choice.styles]
        style = self._networks.style(paths, want.choice.shares, lambda: self._check(want))
        return paint_preview(style, want.photo, photo, want.choice, want.size)

    def _check(self, want: Want) -> None:
        with self._changed:
            if self._is_closing or not any(want in wants for wants in self._wants.values()):
                raise _Dropped

    def _finish(self, want: Want, preview: Preview) -> None:
        """Cache a preview, and announce it to the pages that are waiting for it."""
        with self._changed:
            if preview.error is None:
                self._previews.put(want.key, preview)
            pages = [page for page, wants in self._wants.items() if want in wants]
            for page in pages:
                self._wants[page] = tuple(other for other in self._wants[page] if other != want)
        for page in pages:
            self._send(page, _announcement(want.key, preview))

    def _run(self, export: Export) -> None:
        def report() -> None:
            self._send(export.page, export.document())

        def check() -> None:
            while True:
                if self._is_closing or export.cancelled.is_set():
                    raise _Dropped
                with self._changed:
                    want = self._first_want()
                if want is None:
                    return
                self._paint(want)  # a large photo must not delay previews

        try:
            run_export(export, self._styles, self._decoder, self._networks, check=check, on_progress=report)
        except _Dropped:
            export.state = "cancelled"
        except StylekitError as error:
            export.state, export.failures = "failed", [error]
        except Exception as error:
            export.state, export.failures = "failed", [StylekitError("Internal error: see the terminal.", repr(error))]
            raise
        finally:
            if export.state in ("cancelled", "failed"):
                export.delete()
                report()


def _announcement(key: str, preview: Preview) -> Event:
    if preview.error is not None:
        return {"type": "failed", "key": key, "message": preview.error.message, "hint": preview.error.hint}
    return {"type": "painted", "key": key, "coarse": preview.is_coarse}

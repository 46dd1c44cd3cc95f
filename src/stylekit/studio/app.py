"""Handle the requests of the page."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

import anyio
import anyio.to_thread
import msgspec
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route

from stylekit.config.apply import COMMAND_JOBS
from stylekit.errors import ConfigError, ImageError, OutOfMemory, StyleFileError, StylekitError
from stylekit.studio.choices import Choice, command_line
from stylekit.studio.events import Events, stream
from stylekit.studio.exports import Export
from stylekit.studio.painter import Painter, Want
from stylekit.studio.photos import MOST_PHOTO_BYTES, MOST_PHOTOS, Photos, UnknownUpload, Upload
from stylekit.studio.previews import SIZES, Preview, show_photo
from stylekit.studio.security import refusal
from stylekit.studio.styles import MOST_STYLE_BYTES, Styles
from stylekit.system.files import writing

_STATIC = Path(__file__).with_name("static")
_FILES = {"": "index.html", "studio.js": "studio.js", "studio.css": "studio.css", "icon.svg": "icon.svg"}
_MOST_JSON_BYTES = 200_000
_MOST_WANTS = 1_000
_PAGE = re.compile(r"[0-9a-f-]{16,64}")
_SECONDS_UNTIL_FORGOTTEN = 10  # after a page's connection has ended: the page may reconnect

_Body = TypeVar("_Body")
_Added_co = TypeVar("_Added_co", covariant=True)


class _PhotoWant(msgspec.Struct, forbid_unknown_fields=True):
    photo: str
    choice: Choice
    size: str


class _Wanted(msgspec.Struct, forbid_unknown_fields=True):
    page: str
    wants: list[_PhotoWant]


class _Chosen(msgspec.Struct, forbid_unknown_fields=True):
    photos: list[str]
    choice: Choice
    page: str = ""


class _Collection(Protocol[_Added_co]):
    """A collection to which uploads are added."""

    def begin(self, name: str, size: int) -> Path: ...

    def add(self, path: Path) -> _Added_co: ...

    def discard(self, path: Path) -> None: ...


class Studio:
    """The handlers of the page's requests.

    Args:
        photos: The uploaded photos.
        styles: The styles to choose from.
        painter: Paints previews and downloads.
        events: The events for the open pages.
    """

    def __init__(self, photos: Photos, styles: Styles, painter: Painter, events: Events) -> None:
        """Create the handlers."""
        self._photos = photos
        self._styles = styles
        self._painter = painter
        self._events = events
        self._decoders = anyio.CapacityLimiter(COMMAND_JOBS)
        self._writers = anyio.CapacityLimiter(4)

    def app(self, place: str) -> Starlette:
        """Return the app, which has all its routes below the path `/PLACE/`."""
        routes = [
            *(Route(f"/{path}", _static(name)) for path, name in _FILES.items()),
            Route("/api/events", self.listen),
            Route("/api/state", self.state),
            Route("/api/styles", self.add_style, methods=["POST"]),
            Route("/api/photos", self.add_photo, methods=["POST"]),
            Route("/api/photos/{id}", self.remove_photo, methods=["DELETE"]),
            Route("/api/photos/{id}/image", self.photo_image),
            Route("/api/wants", self.want, methods=["PUT"]),
            Route("/api/previews/{key}", self.preview),
            Route("/api/command", self.command, methods=["POST"]),
            Route("/api/exports", self.export, methods=["POST"]),
            Route("/api/exports/{id}", self.export_state),
            Route("/api/exports/{id}", self.cancel_export, methods=["DELETE"]),
            Route("/api/exports/{id}/file", self.export_file),
        ]
        return Starlette(routes=[Mount(f"/{place}", routes=routes)], exception_handlers=_HANDLERS)

    async def listen(self, request: Request) -> Response:
        """Stream events to a page until the page closes."""
        page = request.query_params.get("page", "")
        if not _PAGE.fullmatch(page):
            raise ConfigError("Invalid page.")
        queue = self._events.open(page)

        async def events() -> AsyncIterator[str]:
            try:
                async for event in stream(queue):
                    yield event
            finally:
                if self._events.close_page(page, queue):
                    asyncio.get_running_loop().call_later(_SECONDS_UNTIL_FORGOTTEN, self._forget, page)

        return StreamingResponse(events(), media_type="text/event-stream")

    def _forget(self, page: str) -> None:
        if page not in self._events:
            self._painter.forget(page)

    async def state(self, request: Request) -> Response:
        """Return the available styles, the uploaded photos and the upload limit."""
        styles = await anyio.to_thread.run_sync(self._styles.all)
        return JSONResponse(
            {
                "styles": [style.document() for style in styles],
                "photos": [photo.document() for photo in self._photos.all()],
                "most_photo_bytes": MOST_PHOTO_BYTES,
            }
        )

    async def add_style(self, request: Request) -> Response:
        """Receive a style file."""
        style = await self._receive(request, MOST_STYLE_BYTES, self._styles)
        return JSONResponse(style.document(), 201)

    async def add_photo(self, request: Request) -> Response:
        """Receive a photo."""
        photo = await self._receive(request, MOST_PHOTO_BYTES, self._photos)
        return JSONResponse(photo.document(), 201)

    async def _receive(self, request: Request, most_bytes: int, collection: "_Collection[_Body]") -> _Body:
        """Write the body of a request to a file, and add the file to a collection; delete the file if that fails."""
        size = _length(request)
        if size is None or size > most_bytes:
            raise _TooLarge(f"Files may have up to {most_bytes // 10**6} MB.", "Use `stylekit apply` for larger files.")
        path = collection.begin(request.query_params.get("name", ""), size)
        try:
            async with self._writers:
                with writing(path, StylekitError):
                    path.parent.mkdir(mode=0o700)
                    async with await anyio.open_file(path, "wb") as file:
                        async for chunk in request.stream():
                            size -= len(chunk)
                            if size < 0:  # with chunked encoding, no header limits the size
                                raise _TooLarge("The upload is larger than announced.")
                            await file.write(chunk)
            return await anyio.to_thread.run_sync(collection.add, path, limiter=self._decoders)
        except BaseException:
            await anyio.to_thread.run_sync(collection.discard, path)
            raise

    async def remove_photo(self, request: Request) -> Response:
        """Delete a photo."""
        await anyio.to_thread.run_sync(self._photos.remove, request.path_params["id"])
        return Response(status_code=204)

    async def photo_image(self, request: Request) -> Response:
        """Return a photo as an image for the page."""

        def show() -> Preview:
            return show_photo(self._photos.reduced(request.path_params["id"]))

        return _image(await anyio.to_thread.run_sync(show, limiter=self._decoders))

    async def want(self, request: Request) -> Response:
        """Replace the previews that a page is waiting for; return their keys and the previews that are ready."""
        body = await _read(request, _Wanted)
        if body.page not in self._events:
            return refusal(409, "This page is not connected.", "Reload this page.")
        if len(body.wants) > _MOST_WANTS or any(want.size not in SIZES for want in body.wants):
            raise ConfigError("Invalid previews.", "Reload this page.")
        wants = []
        for want in body.wants:
            want.choice.check(self._styles)
            wants.append(Want(self._photos.get(want.photo), want.choice.at_full_strength(), want.size))
        ready = self._painter.want(body.page, wants)
        return JSONResponse({"keys": [want.key for want in wants], "ready": list(ready.values())})

    async def preview(self, request: Request) -> Response:
        """Return a preview that was announced to the page."""
        preview = self._painter.preview(request.path_params["key"])
        return refusal(404, "This preview is no longer available.") if preview is None else _image(preview)

    async def command(self, request: Request) -> Response:
        """Return the command that produces what the page shows."""
        photos, choice, _ = await self._chosen(request)
        return JSONResponse({"command": command_line(photos, choice, self._styles)})

    async def export(self, request: Request) -> Response:
        """Start preparing a download."""
        photos, choice, page = await self._chosen(request)
        export = self._painter.add_export(page, photos, choice)
        return JSONResponse({**export.document(), "command": command_line(photos, choice, self._styles)}, 202)

    async def _chosen(self, request: Request) -> tuple[Sequence[Upload], Choice, str]:
        body = await _read(request, _Chosen)
        if not 1 <= len(body.photos) <= MOST_PHOTOS:
            raise ConfigError(f"Choose 1 to {MOST_PHOTOS} photos, not {len(body.photos)}.")
        body.choice.check(self._styles)
        return [self._photos.get(id) for id in dict.fromkeys(body.photos)], body.choice, body.page

    async def export_state(self, request: Request) -> Response:
        """Return the state of a download, for a page that has missed events."""
        return JSONResponse(self._find_export(request).document())

    async def cancel_export(self, request: Request) -> Response:
        """Cancel a download."""
        self._painter.cancel(self._find_export(request))
        return Response(status_code=204)

    async def export_file(self, request: Request) -> Response:
        """Send the file of a finished download."""
        export = self._find_export(request)
        if export.file is None or not export.file.is_file():
            return refusal(409, "This download is not ready.")
        return FileResponse(export.file, filename=export.file.name)

    def _find_export(self, request: Request) -> Export:
        export = self._painter.export(request.path_params["id"])
        if export is None:
            raise UnknownUpload("This download is no longer available.", "Start it again.")
        return export


class _TooLarge(ImageError):
    """An upload has more bytes than allowed."""


def _static(name: str) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        return FileResponse(_STATIC / name)

    return answer


def _image(preview: Preview) -> Response:
    return Response(preview.content, media_type=preview.media_type)


def _length(request: Request) -> int | None:
    length = request.headers.get("content-length", "")
    return int(length) if length.isdecimal() else None


async def _read(request: Request, kind: type[_Body]) -> _Body:
    """Decode and validate the JSON body of a request.

    Raises:
        ConfigError: If the body is not JSON, or does not match `kind`.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_JSON_BYTES:
            raise _TooLarge("The request is too large.")
    try:
        return msgspec.json.decode(bytes(body), type=kind)
    except msgspec.DecodeError as error:  # includes ValidationError
        raise ConfigError(f"Invalid request: {error}.", "Reload this page.") from error


async def _as_json(request: Request, error: Exception) -> Response:
    """Return a known error as JSON."""
    assert isinstance(error, StylekitError)
    statuses: dict[type[StylekitError], int] = {
        _TooLarge: 413,
        UnknownUpload: 404,
        ConfigError: 422,
        ImageError: 422,
        StyleFileError: 422,
        OutOfMemory: 507,
    }
    status = next((code for kind, code in statuses.items() if isinstance(error, kind)), 409)
    return refusal(status, error.message, error.hint)


async def _left(request: Request, error: Exception) -> Response:
    """Return a response that nobody reads, because the browser has closed the connection."""
    return Response(status_code=400)


_HANDLERS = {StylekitError: _as_json, ClientDisconnect: _left}

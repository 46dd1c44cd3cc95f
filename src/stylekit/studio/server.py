"""Start and stop the studio's server, with its socket, folder and threads."""

import contextlib
import ipaddress
import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import uvicorn

from stylekit.config.studio import StudioConfig
from stylekit.errors import StylekitError
from stylekit.studio.app import Studio
from stylekit.studio.decoding import Decoder
from stylekit.studio.events import Events
from stylekit.studio.folder import private_folder
from stylekit.studio.painter import Painter
from stylekit.studio.photos import Photos
from stylekit.studio.security import Guard, Keys, allowed_hosts
from stylekit.studio.styles import Styles

_SECONDS_FOR_LAST_ANSWERS = 2


@dataclass(frozen=True)
class Address:
    """The address of the studio's page.

    Attributes:
        url: The URL to open, which contains the token.
        launch_url: A URL with a token that works only once, to pass to a browser on the command line.
        port: The port of the server.
    """

    url: str
    launch_url: str
    port: int


class Server(uvicorn.Server):
    """A server that closes the event streams on shutdown, instead of waiting for their end."""

    def __init__(self, config: uvicorn.Config, events: Events) -> None:
        """Create the server."""
        super().__init__(config)
        self._events = events

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End."""
        self._events.close()
        await super().shutdown(sockets)


def serve(
    config: StudioConfig,
    *,
    on_ready: Callable[[Address], None] = lambda address: None,
    on_server: Callable[[Server], None] = lambda server: None,
) -> None:
    """Run the studio until the process receives SIGINT or SIGTERM. The signals then have their usual effect.

    Args:
        config: The settings of the studio.
        on_ready: Called once with the address, when browsers can connect.
        on_server: Called with the server before it starts.

    Raises:
        StylekitError: If the port is in use, or the private folder cannot be created.
    """
    with (
        bound_socket(config.listen, config.port) as listener,
        private_folder() as folder,
        contextlib.ExitStack() as stack,
    ):
        port, keys, events = listener.getsockname()[1], Keys(), Events()
        decoder = Decoder(config.max_pixels)
        stack.callback(decoder.close)
        photos, styles = Photos(folder, decoder), Styles(folder)
        painter = Painter(photos, styles, decoder, folder, events.send)
        stack.callback(painter.close)
        app = Studio(photos, styles, painter, events).app(keys.place)
        settings = uvicorn.Config(
            Guard(app, keys, allowed_hosts(config.listen, port), port),
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=_SECONDS_FOR_LAST_ANSWERS,
        )
        server = Server(settings, events)
        on_server(server)
        on_ready(_address(config.listen, port, keys))
        server.run(sockets=[listener])


@contextlib.contextmanager
def bound_socket(listen: str, port: int) -> Iterator[socket.socket]:
    """Yield a listening socket.

    Raises:
        StylekitError: If the address is in use or does not belong to this machine.
    """
    is_ipv6 = ipaddress.ip_address(listen).version == 6
    with socket.socket(socket.AF_INET6 if is_ipv6 else socket.AF_INET) as listener:
        try:
            if os.name != "nt":  # on Windows, the option would let another program take the port
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((listen, port))
            listener.listen(512)
        except OSError as error:
            raise StylekitError(
                f"Cannot listen on {listen}, port {port}: {(error.strerror or str(error)).lower()}.",
                "Choose another --port, or omit --port to use a free port.",
            ) from error
        yield listener


def _address(listen: str, port: int, keys: Keys) -> Address:
    address = ipaddress.ip_address(listen)
    host = "localhost" if address.is_unspecified else f"[{address}]" if address.version == 6 else str(address)
    root = f"http://{host}:{port}/?token="
    return Address(f"{root}{keys.token}", f"{root}{keys.launch}", port)

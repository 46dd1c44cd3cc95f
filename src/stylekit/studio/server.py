"""The studio's server: its socket, its folder and its threads, from start to end."""

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
    """Where the studio is.

    Attributes:
        url: The address to open, with the token in it.
        launch_url: The same with a token that opens it once, for the arguments of a browser.
        port: The port.
    """

    url: str
    launch_url: str
    port: int


class Server(uvicorn.Server):
    """A server that ends the streams of events when it ends, instead of waiting for them."""

    def __init__(self, config: uvicorn.Config, events: Events) -> None:
        """Keep the streams."""
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
    """Run the studio until the process gets SIGINT or SIGTERM, which then have their usual effect.

    Args:
        config: Settings.
        on_ready: Called once with the address, when browsers can connect.
        on_server: Called with the server, before it runs.

    Raises:
        StylekitError: If the port is taken, or the private folder cannot be created.
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
    """Yield a socket that listens.

    Raises:
        StylekitError: If the address is taken, or not one of this machine.
    """
    is_ipv6 = ipaddress.ip_address(listen).version == 6
    with socket.socket(socket.AF_INET6 if is_ipv6 else socket.AF_INET) as listener:
        try:
            if os.name != "nt":  # there it would let another program take the port
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((listen, port))
            listener.listen(512)
        except OSError as error:
            raise StylekitError(
                f"Cannot listen on {listen}, port {port}: {(error.strerror or str(error)).lower()}.",
                "Choose another --port, or leave it out for a free one.",
            ) from error
        yield listener


def _address(listen: str, port: int, keys: Keys) -> Address:
    address = ipaddress.ip_address(listen)
    host = "localhost" if address.is_unspecified else f"[{address}]" if address.version == 6 else str(address)
    root = f"http://{host}:{port}/?token="
    return Address(f"{root}{keys.token}", f"{root}{keys.launch}", port)

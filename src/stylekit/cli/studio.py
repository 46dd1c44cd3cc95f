"""`stylekit studio`: preview a photo in every style, in the browser."""

import signal
import threading
import webbrowser
from typing import TYPE_CHECKING, Annotated

from stylekit.cli import options
from stylekit.cli.console import Output
from stylekit.cli.options import inputs, panel
from stylekit.config.studio import StudioConfig

if TYPE_CHECKING:
    from stylekit.studio.server import Address

_DEFAULT = StudioConfig()
_page = panel("Page")


def studio(
    port: Annotated[int, _page("Port to serve the page on.", metavar="N", show_default="a free one")] = _DEFAULT.port,
    opens: Annotated[bool, _page("Open the page in the browser.", "--open/--no-open")] = True,
    listen: Annotated[
        str, _page("IP address to listen on, so that other machines can connect.", metavar="ADDRESS")
    ] = _DEFAULT.listen,
    max_pixels: Annotated[
        int, inputs("Reject photos with more pixels than this.", metavar="N", show_default="200 million")
    ] = _DEFAULT.max_pixels,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Preview your photo in every style, in the browser.

    Examples:
      stylekit studio
      stylekit studio --port 8000 --no-open

    Drop a photo onto the page to see it in every style. Photos stay on
    this machine, and are deleted when you stop the studio with Ctrl-C.
    """
    from stylekit.studio.server import serve

    console = Output(quiet=quiet, as_json=json)
    config = StudioConfig(listen=listen, port=port, max_pixels=max_pixels)

    def show(address: "Address") -> None:
        console.document({"url": address.url, "port": address.port})
        console.result(address.url)
        if not config.is_local:
            console.note(
                "warning: other machines can reach this page. Anyone with the address can use it, and the connection "
                "is not encrypted: others on the network can read the token and the photos."
            )
        console.note("Press Ctrl-C to stop the studio and delete its photos.")
        if opens:
            threading.Thread(target=webbrowser.open, args=(address.launch_url,), daemon=True).start()

    # Closing the terminal must delete the photos too, except with nohup.
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        signal.signal(signal.SIGHUP, lambda *_: signal.raise_signal(signal.SIGTERM))
    serve(config, on_ready=show)

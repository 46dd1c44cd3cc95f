"""Options that several commands share, and the panels that group options in the help."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from stylekit.cli.completion import DEVICES


def panel(title: str) -> Callable[..., Any]:
    """Return a function that declares options in one panel of the help.

    The function takes the help text; the option's names, unless the parameter's name is enough; `choices` if only a
    few values are valid; `complete`, a function that returns values for shell completion; and settings for Typer.
    """

    def option(
        help: str,
        *names: str,
        choices: Sequence[str] = (),
        complete: Callable[[], list[str]] | None = None,
        **settings: Any,
    ) -> Any:
        if choices:
            complete = complete or (lambda: list(choices))
            settings.setdefault("metavar", "|".join(choices))
        return typer.Option(*names, help=help, rich_help_panel=title, autocompletion=complete, **settings)

    return option


inputs = panel("Input")
look = panel("Look")
output = panel("Output")
video = panel("Video")
machine = panel("Machine")
messages = panel("Messages")

KeepColors = Annotated[bool, look("Keep the photo's colors and take only the brushwork.", "--keep-colors")]

Quality = Annotated[int, output("Quality of JPEG, WebP, AVIF and HEIC images.", metavar="1..100")]
StripMetadata = Annotated[
    bool, output("Write results without EXIF, GPS, XMP or stylekit's recipe.", "--strip-metadata")
]
Overwrite = Annotated[bool, output("Replace existing results.", "--overwrite")]
Show = Annotated[bool, output("Display the results in the terminal or in an image viewer.", "--show")]

Force = Annotated[bool, output("Replace your style of the same name, or override a bundled one.", "--force")]

MaxPixels = Annotated[
    int,
    inputs("Reject images with more than N pixels (decompression bombs).", metavar="N", show_default="500 million"),
]


def device_option(**settings: Any) -> Any:
    """Declare `--device`."""
    return machine("Device to run the network on.", choices=DEVICES, metavar="auto|cpu|cuda|cuda:N|mps", **settings)


Device = Annotated[str, device_option()]

Json = Annotated[bool, messages("Print a single JSON document to standard output.", "--json")]
Quiet = Annotated[bool, messages("Print only results and failures.", "--quiet", "-q")]
Verbose = Annotated[bool, messages("Print more detail.", "--verbose", "-v")]

Catalogs = Annotated[
    list[str] | None,
    typer.Option("--catalog", metavar="URL|FILE", help="Additional style catalog; can be repeated."),
]

"""Options that several commands share, and the panels of the help in which options stand."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from stylekit.cli.completion import DEVICES


def panel(title: str) -> Callable[..., Any]:
    """Return a function that declares the options of one panel of the help.

    The function takes the help text, the option's names if it has more than its parameter's, `choices` for a value
    out of a few, `complete` for a function that returns the values that the shell completes, and Typer's settings.
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

KeepColors = Annotated[bool, look("Keep the photo's colors; take only the brushwork.", "--keep-colors")]

Quality = Annotated[int, output("Quality of JPEG, WebP, AVIF and HEIC.", metavar="1..100")]
StripMetadata = Annotated[bool, output("Remove EXIF (with its GPS position) and XMP.", "--strip-metadata")]
Overwrite = Annotated[bool, output("Replace existing results.", "--overwrite")]

Force = Annotated[bool, output("Replace your style with this name, or hide a bundled one.", "--force")]

MaxPixels = Annotated[
    int,
    inputs("Reject images with more pixels than this (decompression bombs).", metavar="N", show_default="500 million"),
]


def device_option(**settings: Any) -> Any:
    """Declare `--device`."""
    return machine("Device for the network.", choices=DEVICES, metavar="auto|cpu|cuda|cuda:N|mps", **settings)


Device = Annotated[str, device_option()]

Json = Annotated[bool, messages("Print one JSON document on standard output.", "--json")]
Quiet = Annotated[bool, messages("Print results and failures only.", "--quiet", "-q")]
Verbose = Annotated[bool, messages("Print more details.", "--verbose", "-v")]

Catalogs = Annotated[
    list[str] | None,
    typer.Option("--catalog", metavar="URL|FILE", help="Additional style catalog; repeat for several."),
]

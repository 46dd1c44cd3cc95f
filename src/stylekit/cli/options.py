"""Options that several commands share."""

from typing import Annotated

import typer

Device = Annotated[str, typer.Option("--device", metavar="auto|cpu|cuda|cuda:N|mps", help="Where the network runs.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print results and failures only.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Print more.")]
Force = Annotated[bool, typer.Option("--force", help="Replace a style of yours, or hide a bundled one, of this name.")]
KeepColors = Annotated[bool, typer.Option("--keep-colors", help="Keep the photo's colours, take the painting's brush.")]
Quality = Annotated[int, typer.Option("--quality", metavar="1..100", help="Quality of JPEG, WebP, AVIF, HEIC.")]
StripMetadata = Annotated[
    bool, typer.Option("--strip-metadata", help="Leave out EXIF (with its GPS position) and XMP.")
]
MaxPixels = Annotated[
    int, typer.Option("--max-pixels", metavar="N", help="Refuse pictures of more pixels, as decompression bombs.")
]

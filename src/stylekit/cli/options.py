"""Options that several commands share."""

from typing import Annotated

import typer

Device = Annotated[str, typer.Option("--device", metavar="auto|cpu|cuda|cuda:N|mps", help="Where the network runs.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print results and failures only.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Print more.")]
Force = Annotated[bool, typer.Option("--force", help="Replace a style of yours, or hide a bundled one, of this name.")]

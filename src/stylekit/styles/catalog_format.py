"""Define the format of catalogs, as types that validate catalogs and generate docs/catalog.schema.json."""

import json
import re
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from stylekit.errors import CatalogError
from stylekit.styles.names import STYLE_NAME_PATTERN, STYLE_NAME_RULE

CATALOG_FORMAT = "stylekit-catalog-1"
MAX_STYLE_BYTES = 500_000_000
SHA256_PATTERN = re.compile(r"[0-9a-f]{64}")

_HINT = f'A catalog is {{"format": "{CATALOG_FORMAT}", "styles": […]}}; a style has name, url, sha256 and size.'

_Text = Annotated[str, Meta(description="text")]


class ListedStyle(Struct):
    """A style in a catalog."""

    name: Annotated[str, Meta(pattern=f"^{STYLE_NAME_PATTERN.pattern}$", description=STYLE_NAME_RULE)]
    url: Annotated[str, Meta(min_length=1, description="an https:// or hf:// URL, or a URL relative to the catalog")]
    sha256: Annotated[str, Meta(pattern=f"^{SHA256_PATTERN.pattern}$", description="64 lower-case hexadecimal digits")]
    size: Annotated[int, Meta(ge=1, le=MAX_STYLE_BYTES, description=f"1 to {MAX_STYLE_BYTES:,} bytes")]
    title: _Text = ""
    artist: _Text = ""
    year: _Text = ""
    licence: _Text = ""
    source: _Text = ""


class Catalog(Struct):
    """A list of styles and where to download them; see catalogs.md."""

    format: Literal["stylekit-catalog-1"]
    styles: list[ListedStyle]


def parse_catalog(content: bytes, source: str) -> list[ListedStyle]:
    """Return the styles listed in a catalog.

    Args:
        content: The content of the catalog's file.
        source: The catalog's URL or path, for error messages.

    Raises:
        CatalogError: If the content is not a catalog, or a style in it is invalid.
    """
    try:
        values = json.loads(content)  # accepts UTF-16 and UTF-32 too, unlike msgspec's decoder
    except (ValueError, RecursionError) as error:
        raise CatalogError(f"The catalog {source} is not JSON.", _HINT) from error
    try:
        return msgspec.convert(values, Catalog).styles
    except msgspec.ValidationError as error:
        raise CatalogError(_problem(str(error), source), _HINT) from error
    except UnicodeEncodeError as error:  # a key or the format has a lone surrogate
        raise CatalogError(f"The catalog {source} contains text that is not valid Unicode.", _HINT) from error


def _problem(error: str, source: str) -> str:
    """Return a message that says which part of a catalog is invalid, and what is expected there."""
    style = re.search(r"\$\.styles\[(\d+)\]", error)
    field = re.search(r"(?:field `|\$.*\.)(\w+)`", error)
    if style is None and field is not None and field[1] == "styles":
        return f"The catalog {source} has no list of styles."
    if style is None:
        return f"{source} is not a catalog: its format is not {CATALOG_FORMAT!r}."
    number = int(style[1]) + 1
    if field is None:
        return f"Style {number} in the catalog {source} is not a JSON object."
    rule = ListedStyle.__annotations__[field[1]].__metadata__[0].description
    return f"Style {number} in the catalog {source} has no valid {field[1]} ({rule})."


def catalog_schema() -> str:
    """Return the JSON schema of catalogs, which is published as docs/catalog.schema.json."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **msgspec.json.schema(Catalog)}
    return json.dumps(schema, indent=2) + "\n"

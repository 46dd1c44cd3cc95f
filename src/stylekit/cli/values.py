"""Convert command-line values without Pydantic, which takes a tenth of a second to import."""

import re
from collections.abc import Callable, Mapping
from typing import Any, get_args, get_origin


class _Unusual(Exception):
    """A value that only Pydantic can convert or, with Typer's message, reject."""


class QuickValues:
    """Converts the values of a parameter as Typer does, using Pydantic only for uncommon values.

    Args:
        parameter: The parameter of Typer whose values are converted.
    """

    def __init__(self, parameter: Any) -> None:
        self._parameter = parameter
        self._converters = type(parameter).get_runtime_param  # Typer's own, which imports Pydantic

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """Convert a value to the parameter's type; if the value is missing, return None or an empty tuple."""
        try:
            return self._converted(value)
        except (_Unusual, ValueError, AssertionError):  # Pydantic turns the last two into its own errors
            return self._converters(self._parameter).coerce(value, param=param, ctx=ctx)

    def _converted(self, value: Any) -> Any:
        parameter, described = self._parameter, self._parameter.type_descriptor
        has_many = parameter.multiple or parameter.nargs == -1
        if value is None:
            return () if has_many else None
        kind = described.annotation
        if get_origin(kind) is list and has_many and isinstance(value, list | tuple):
            (kind,) = get_args(kind)
            return [_one(item, kind, described.parameter_info) for item in value]
        if has_many:
            raise _Unusual
        return _one(value, kind, described.parameter_info)


def _one(value: Any, kind: Any, about: Any) -> Any:
    """Convert a single value to a type.

    Raises:
        _Unusual: If only Pydantic can convert the value.
    """
    if about.parser is not None:
        return about.parser(value)
    if about.min is not None or about.max is not None:
        raise _Unusual
    if kind in _CONVERTERS and type(value) is kind is not str:
        return value
    if kind not in _CONVERTERS or type(value) is not str:
        raise _Unusual
    value.encode()  # raises a ValueError for bytes of a file name that are not valid text
    return _CONVERTERS[kind](value)


def _int(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise _Unusual
    return int(text)


def _float(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,18}(\.[0-9]{1,18})?", text):
        raise _Unusual
    return float(text)


_CONVERTERS: Mapping[Any, Callable[[str], Any]] = {int: _int, float: _float, str: str}

"""The arguments of a call by parameter name, positional ones too. `self` and `cls` are left out."""

import inspect
from collections.abc import Callable
from typing import Any, cast

_BY_POSITION = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_RECEIVERS = ("self", "cls")


class Arguments:
    """What is known of a function's parameters at decoration, so that a call only pairs names with values."""

    __slots__ = ("_all", "_count", "_names", "_rest", "_skip")

    def __init__(self, function: Callable[..., Any]) -> None:
        try:
            parameters = list(inspect.signature(function).parameters.values())
        except (TypeError, ValueError):
            parameters = []
        names = [parameter.name for parameter in parameters if parameter.kind in _BY_POSITION]
        rest = [parameter.name for parameter in parameters if parameter.kind is inspect.Parameter.VAR_POSITIONAL]
        self._skip = 1 if names and names[0] in _RECEIVERS else 0
        self._names = tuple(names[self._skip :])
        self._rest = rest[0] if rest else "args"
        self._count = len(names)
        self._all = _pairing(names, self._skip)

    def named(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Only what was passed: defaults are the function's, not the call's."""
        if len(args) == self._count and not kwargs:
            return self._all(*args)
        given = args[self._skip :] if self._skip else args
        named = dict(zip(self._names, given, strict=False))
        if len(given) > len(self._names):
            named[self._rest] = given[len(self._names) :]
        if kwargs:
            named.update(kwargs)
        return named


def _pairing(names: list[str], skip: int) -> Callable[..., dict[str, Any]]:
    """A function of all positional parameters that gives them by name: twice as fast as `dict(zip(...))`."""
    places = [f"_{number}" for number in range(len(names))]
    pairs = ", ".join(f"{str.__repr__(name)}: {place}" for name, place in list(zip(names, places, strict=True))[skip:])
    source = f"lambda {', '.join(places)}: {{{pairs}}}"
    return cast("Callable[..., dict[str, Any]]", eval(source))  # noqa: S307 - of names that Python took as such

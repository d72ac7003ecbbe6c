"""`@traced_span`: every call of a function becomes a span. Outside a trace the function runs as if undecorated."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar, cast

from tracequeue.arguments import Arguments
from tracequeue.current import current
from tracequeue.generators import around_async_generator, around_generator
from tracequeue.site import Site
from tracequeue.span import open_call

P = ParamSpec("P")
R = TypeVar("R")


def traced_span(
    name: str | None = None,
    *,
    kind: str | None = None,
    capture_input: bool = True,
    capture_output: bool = True,
    attributes: Mapping[str, object] | None = None,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Record name, times, parent, inputs by parameter name, output and outcome of each call.

    Works on plain and async functions, generators, async generators and methods (`self` is not captured); put
    it below `@staticmethod` and `@classmethod`, or above. Without `name` the function's qualified name is used.
    Raises `TypeError` or `ValueError` at decoration for a bad name or something that is not a function.
    """
    if callable(name):
        raise TypeError("write @traced_span() with parentheses, and the span's name inside if it has one")

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        if isinstance(function, (staticmethod, classmethod)):
            return cast("Callable[P, R]", type(function)(decorate(function.__func__)))
        if isinstance(function, type) or not callable(function):
            raise TypeError(f"@traced_span goes on a function or method, not on {function!r:.80}")
        qualified = getattr(function, "__qualname__", type(function).__qualname__)
        site = Site(
            qualified if name is None else name,
            kind,
            attributes,
            capture_input=capture_input,
            capture_output=capture_output,
        )
        return cast("Callable[P, R]", _wrapper(function)(function, site, Arguments(function)))

    return decorate


def _wrapper(function: Callable[..., Any]) -> Callable[[Any, Site, Arguments], Callable[..., Any]]:
    if inspect.iscoroutinefunction(function):
        return _around_coroutine
    if inspect.isasyncgenfunction(function):
        return around_async_generator
    if inspect.isgeneratorfunction(function):
        return around_generator
    return _around_call


def _around_call(function: Callable[..., Any], site: Site, arguments: Arguments) -> Callable[..., Any]:
    @functools.wraps(function)
    def traced(*args: Any, **kwargs: Any) -> Any:
        scope = current.get()
        if scope is None or not scope.recording:
            return function(*args, **kwargs)
        span = open_call(scope, site, arguments, args, kwargs)
        current.set(span)
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            span.close(error)
            raise
        else:
            span.finish(result)
            return result
        finally:
            if current.get() is span:  # see `leave`
                current.set(scope)

    return traced


def _around_coroutine(function: Callable[..., Any], site: Site, arguments: Arguments) -> Callable[..., Any]:
    @functools.wraps(function)
    async def traced(*args: Any, **kwargs: Any) -> Any:
        scope = current.get()
        if scope is None or not scope.recording:
            return await function(*args, **kwargs)
        span = open_call(scope, site, arguments, args, kwargs)
        current.set(span)
        try:
            result = await function(*args, **kwargs)
        except BaseException as error:
            span.close(error)
            raise
        else:
            span.finish(result)
            return result
        finally:
            if current.get() is span:  # see `leave`
                current.set(scope)

    return traced

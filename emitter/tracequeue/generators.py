"""Spans around generators: the generator's own scope is current only while its body runs.

While it is suspended its consumer sees the consumer's scope, and it may be closed early, by the garbage
collector, or from another task or thread.
"""

import functools
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import nullcontext
from typing import Any

from tracequeue.arguments import Arguments
from tracequeue.current import Scope, current
from tracequeue.items import Items
from tracequeue.site import Site
from tracequeue.span import Span, open_call


class Body:
    """Makes the scope of a generator's body current for one step, and keeps it for the next.

    What the body itself made current (a block across a `yield`) comes back with its next step.
    """

    __slots__ = ("_inner", "_outer")

    def __init__(self, span: Span) -> None:
        self._inner: Scope | None = span
        self._outer: Scope | None = None

    def __enter__(self) -> None:
        self._outer = current.get()
        current.set(self._inner)

    def __exit__(self, *outcome: object) -> None:
        self._inner = current.get()
        current.set(self._outer)
        self._outer = None


def around_generator(function: Callable[..., Any], site: Site, arguments: Arguments) -> Callable[..., Any]:
    @functools.wraps(function)
    def traced(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        scope = current.get()
        if scope is None or not scope.recording:
            return (yield from function(*args, **kwargs))
        span = open_call(scope, site, arguments, args, kwargs)
        items = Items(span if site.capture_output else None)
        try:
            result = yield from _steps(function(*args, **kwargs), Body(span), items)
        except BaseException as error:
            _finish(span, items, error)
            raise
        _finish(span, items, None)
        return result

    return traced


def _steps(generator: Generator[Any, Any, Any], body: Body, items: Items) -> Generator[Any, Any, Any]:
    """`yield from generator`, with `body` around each step."""
    step: Callable[[Any], Any] = generator.send
    sent: Any = None
    while True:
        try:
            with body:
                item = step(sent)
        except StopIteration as stop:
            return stop.value
        items.add(item)
        try:
            sent = yield item
            step = generator.send
        except BaseException as error:
            sent, step = error, generator.throw


def around_async_generator(function: Callable[..., Any], site: Site, arguments: Arguments) -> Callable[..., Any]:
    @functools.wraps(function)
    async def traced(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        scope = current.get()
        span = open_call(scope, site, arguments, args, kwargs) if scope and scope.recording else None
        items = Items(span if site.capture_output else None)
        body = nullcontext() if span is None else Body(span)
        generator = function(*args, **kwargs)
        step, sent = generator.asend, None
        try:
            while True:
                with body:
                    item = await step(sent)
                items.add(item)
                try:
                    sent = yield item
                    step = generator.asend
                except BaseException as error:
                    sent, step = error, generator.athrow
        except StopAsyncIteration:
            _finish(span, items, None)
        except BaseException as error:
            _finish(span, items, error)
            raise

    return traced


def _finish(span: Span | None, items: Items, error: BaseException | None) -> None:
    if span is not None:
        items.finish()
        span.close(error)

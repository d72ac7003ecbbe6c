"""Times as people type them."""

from datetime import datetime

import typer

from tracequeue_worker import bounds


def moment(text: str | None, option: str) -> datetime | None:
    """`2h` is two hours ago; anything else is ISO 8601, UTC where it names no zone."""
    if text is None:
        return None
    try:
        return bounds.moment(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is neither like 30m, 2h, 7d nor a date", param_hint=option) from None


def between(since: str | None, until: str | None) -> bounds.Bounds:
    """What `--since` and `--until` say together: times as above, or entry ids."""
    try:
        return bounds.Bounds(_edge(since, "--since"), _edge(until, "--until"))
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--since, --until") from None


def _edge(text: str | None, option: str) -> bounds.Edge | None:
    if text is None:
        return None
    try:
        return bounds.Edge.parse(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None

"""`traces` and `trace`: what there is, read-only."""

from typing import Annotated, Any
from uuid import UUID

import typer
from rich.text import Text

from tracequeue.events import INT64
from tracequeue_worker.cli.connections import repository
from tracequeue_worker.cli.output import AsJson, Exit, counted, print_json, print_lines, run, say, table
from tracequeue_worker.cli.times import moment
from tracequeue_worker.cli.tree import status_text, trace_tree
from tracequeue_worker.read_models import Span, Trace
from tracequeue_worker.settings import WorkerSettings
from tracequeue_worker.trace_tree import duration, trace_document

LISTED_AT_MOST = 1_000


def traces(
    pipeline: Annotated[str | None, typer.Option(help="Only this pipeline.")] = None,
    telegram_id: Annotated[
        int | None, typer.Option(min=-INT64, max=INT64 - 1, metavar="NUMBER", help="Only this person.")
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Only traces that did not end well.")] = False,
    since: Annotated[str | None, typer.Option(help="From here on: 30m, 2h, 7d, or 2026-11-22T10:00.")] = "1d",
    until: Annotated[str | None, typer.Option(help="Up to here, like --since.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=LISTED_AT_MOST, help="How many, newest first.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Traces, newest first."""
    earliest, latest = moment(since, "--since"), moment(until, "--until")

    async def work() -> list[Trace]:
        async with repository(WorkerSettings.load()) as repo:
            return await repo.get_traces(
                pipeline=pipeline,
                telegram_id=telegram_id,
                success=False if failed else None,
                since=earliest,
                until=latest,
                limit=limit,
            )

    found = run(work)
    if as_json:
        print_json([trace.model_dump(mode="json") for trace in found])
        return
    print_lines(_trace_table(found))
    if not found:
        say("no traces here: try a longer --since, or `tracequeue status` to see whether events arrive", "yellow")


def trace(
    trace_id: Annotated[str, typer.Argument(metavar="ID", help="The trace's UUID, with or without hyphens.")],
    payloads: Annotated[bool, typer.Option("--io", help="Show inputs and outputs, shortened.")] = False,
    as_json: AsJson = False,
) -> None:
    """One trace as a tree with timings. Exits with 1 if it is not there."""
    wanted = _uuid(trace_id)

    async def work() -> tuple[Trace | None, list[Span]]:
        async with repository(WorkerSettings.load()) as repo:
            return await repo.get_trace(wanted), await repo.get_spans_for_trace(wanted)

    found, spans = run(work)
    if found is None:
        arrived = f", but {counted(len(spans), 'span')} of it" if spans else ""
        say(f"trace {wanted} is not stored{arrived}", "yellow")
        raise typer.Exit(Exit.NO)
    if as_json:
        print_json(trace_document(found, spans))
    else:
        print_lines(trace_tree(found, spans, with_payloads=payloads))


def _trace_table(found: list[Trace]) -> Any:
    rows = [
        [
            one.trace_id, one.pipeline_name, f"{one.start_time:%Y-%m-%d %H:%M:%S}", duration(one.duration_ms),
            _state(one), one.stored_spans, one.telegram_id, (one.error or "").partition(":")[0][:60], one.missing or "",
        ]
        for one in found
    ]  # fmt: skip
    columns = ("trace", "pipeline", "start (UTC)", "duration", "status", "spans", "telegram", "error", "missing")
    return table(*columns, rows=rows, right=("duration", "spans", "telegram"))


def _state(one: Trace) -> Text:
    """How the trace stands, and whether rows of it are missing."""
    text = status_text(one.state)
    return text if one.completeness == "complete" else text.append(f", {one.completeness}", style="yellow")


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a UUID", param_hint="ID") from None

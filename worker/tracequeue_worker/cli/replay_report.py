"""The report of a replay for people: whether everything is there, what is not, and what to do about it."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, Final

from rich.text import Text

from tracequeue_worker.cli.output import counted, print_lines, table
from tracequeue_worker.printable import one_line
from tracequeue_worker.replay.models import DayComparison, Gap, ReplayReport

LISTED_DAYS: Final = 10
"""Beyond, the days that are equal are one line for each kind of event; others are always shown."""
LISTED_EMITTERS: Final = 20
LISTED_RANGES: Final = 10
ELSEWHERE: Final = (
    "what this source does not hold may be in archived files (`tracequeue replay --file`), in the spool of a bot "
    "(`--spool`) or among the dead letters (`--dead`): replay these into the same target; each event is stored once"
)
NOTHING_THERE: Final = (
    "the source holds no event that was asked for: see in the first line whether it is the one you mean, and whether "
    "TRACEQUEUE_PREFIX is that of the bots"
)
WITHOUT_A_ROW: Final = (
    "events without a row: a trigger or a rule of the target takes them out: cure it, and run it again"
)
DIFFERENT: Final = (
    "events with other content: something else is stored under the same keys, and what was stored first stays"
)
REFUSED_HERE: Final = (
    "events that the target refuses (store:...): look at its constraints and triggers, cure it, and run it again"
)


def show_report(report: ReplayReport) -> None:
    """What was read and written, the days, the gaps, and the verdict in the last line."""
    for line in _heading(report):
        print_lines(line)
    print_lines(_figures(report))
    if report.days:
        print_lines("")
        print_lines(_days(report.days) if report.replay_id else _days_known(report.days))
    for text, style in (*_remarks(report), *_advice(report)):
        print_lines(Text(f"\n{text}", style=style))
    print_lines(_verdict(report))


def _heading(report: ReplayReport) -> Iterator[str]:
    verb = "replay" if report.replay_id else "a dry run of a replay"
    yield f"{verb} of {one_line(report.source)}" + (f", {one_line(report.selection)}" if report.selection else "")
    resumed = ", resumed" if report.resumed else ""
    yield f"into {one_line(report.target)}, begun {report.started_at:%Y-%m-%d %H:%M:%S} UTC{resumed}"
    yield ""


def _figures(report: ReplayReport) -> Any:
    written = "written" if report.replay_id else "would be written"
    columns = ["frames", "events", written, "already there", "refused"]
    row: list[object] = [report.frames, report.events, report.written, report.present, sum(report.dead.values())]
    if report.left_out:
        columns.append("left out")
        row.append(report.left_out)
    return table(*columns, rows=[row], right=columns)


def _days(days: Sequence[DayComparison]) -> Any:
    rows = [*_folded(days)] if len({one.day for one in days}) > LISTED_DAYS else [_row(one) for one in days]
    return table("day", "events", "source", "target", "digest", "", rows=rows, right=("source", "target"))


def _days_known(days: Sequence[DayComparison]) -> Any:
    """Of a dry run, which hashes nothing."""
    rows = [[one.day, one.kind, one.source_rows, one.target_rows] for one in days]
    return table("day", "events", "source", "known", rows=rows, right=("source", "known"))


def _folded(days: Sequence[DayComparison]) -> Iterator[list[object]]:
    """The days with something to say, and the others together."""
    yield from (_row(one) for one in days if not one.equal)
    order = list(dict.fromkeys(one.kind for one in days))
    for kind in order:
        equal = [one for one in days if one.equal and one.kind == kind]
        if equal:
            rows = sum(one.source_rows for one in equal)
            digest = _short(sum(int(one.source_digest) for one in equal))
            yield [counted(len(equal), "day"), kind, rows, rows, digest, Text("equal", style="green")]


def _row(one: DayComparison) -> list[object]:
    source, target = (_short(int(digest)) for digest in (one.source_digest, one.target_digest))
    digests = source if one.equal else f"{source} / {target}"
    return [one.day, one.kind, one.source_rows, one.target_rows, digests, _state(one)]


def _state(one: DayComparison) -> Text:
    if one.equal:
        return Text("equal", style="green")
    missing = [f"{one.missing} missing"] if one.missing else []
    different = [f"{one.different} different"] if one.different else []
    return Text(", ".join(missing + different) or "different", style="bold red")


def _short(digest: int) -> str:
    """As much of it as two fit beside each other on 80 columns; `--json` has all."""
    return f"{digest % 2**40:010x}"


def _remarks(report: ReplayReport) -> Iterator[tuple[str, str]]:
    """What is not there, with the style in which it is said."""
    if report.dead:
        reasons = ", ".join(f"{events} {one_line(reason)}" for reason, events in Counter(report.dead).most_common())
        yield f"refused: {counted(sum(report.dead.values()), 'event')}: {reasons}", "yellow"
    if report.gaps:
        yield "\n".join(_gap_lines(report.gaps)), "red"
    for sentence in report.shortfalls:
        yield one_line(sentence), "red"


def _gap_lines(gaps: Sequence[Gap]) -> Iterator[str]:
    """By emitter and range."""
    emitters = [(key, list(ranges)) for key, ranges in groupby(gaps, lambda gap: (gap.emitter_id, gap.partition))]
    yield f"gaps: {counted(_frames(gaps), 'frame')} that neither the source nor the target has"
    for (emitter_id, partition), ranges in emitters[:LISTED_EMITTERS]:
        shown = ", ".join(map(_range, ranges[:LISTED_RANGES]))
        more = f", and {len(ranges) - LISTED_RANGES} more ranges" if len(ranges) > LISTED_RANGES else ""
        yield f"  emitter {emitter_id}, partition {partition}: {shown}{more}"
    if len(emitters) > LISTED_EMITTERS:
        yield f"  and of {len(emitters) - LISTED_EMITTERS} more emitters: --json has all"


def _range(gap: Gap) -> str:
    return f"{gap.first} {gap.cause}" if gap.first == gap.last else f"{gap.first}-{gap.last} {gap.cause}"


def _frames(gaps: Iterable[Gap]) -> int:
    return sum(gap.last - gap.first + 1 for gap in gaps)


def _advice(report: ReplayReport) -> Iterator[tuple[str, str]]:
    """What to do next."""
    if report.gaps or report.shortfalls:
        yield ELSEWHERE, "yellow"
    elif not (report.events or report.dead):
        yield NOTHING_THERE, "yellow"
    if not report.replay_id:
        return
    if any(one.missing for one in report.days):
        yield WITHOUT_A_ROW, "yellow"
    if any(one.different for one in report.days):
        yield DIFFERENT, "yellow"
    if any(reason.startswith("store:") for reason in report.dead):
        yield REFUSED_HERE, "yellow"


def _verdict(report: ReplayReport) -> Text:
    if not report.replay_id:
        return Text("\nnothing was written", style="cyan")
    if report.complete:
        refused = f", but for {sum(report.dead.values())} that no store can take" if report.dead else ""
        return Text(f"\ncomplete: all that the source holds is in the target{refused}", style="green")
    return Text(f"\nNOT COMPLETE: {', '.join(_lacks(report))}", style="bold red")


def _lacks(report: ReplayReport) -> Iterator[str]:
    if missing := sum(one.missing for one in report.days):
        yield f"{counted(missing, 'event')} without a row"
    if different := sum(one.different for one in report.days):
        yield f"{counted(different, 'event')} with other content"
    if report.gaps:
        yield f"{counted(_frames(report.gaps), 'frame')} in gaps"
    if refused := sum(events for reason, events in report.dead.items() if reason.startswith("store:")):
        yield f"{counted(refused, 'event')} refused by the target"
    if report.shortfalls:
        yield "the source does not hold all of it"

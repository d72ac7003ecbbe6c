"""`doctor`: what a deployment stands on, and what cures it."""

from dataclasses import asdict

import typer
from rich.table import Table
from rich.text import Text

from tracequeue_worker.cli.output import AsJson, Exit, print_json, print_lines, run, say
from tracequeue_worker.doctor import Examination, Finding, Subject, examine
from tracequeue_worker.printable import one_line
from tracequeue_worker.settings import WorkerSettings

SUBJECTS: dict[Subject, str] = {"redis": "Redis", "postgres": "Postgres", "here": "this machine"}
STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red", "away": "bold red"}


def doctor(as_json: AsJson = False) -> None:
    """Check versions, rights, durability, clocks and more, and say the cure.

    Exits with 1 if a check fails, with 3 if a server cannot be reached.
    """
    examination = run(lambda: examine(WorkerSettings.load()))
    if as_json:
        document = {"findings": [asdict(finding) for finding in examination.findings], "away": examination.away}
        print_json(document)
    else:
        print_lines(_shown(examination))
        _sum_up(examination)
    if examination.away:
        raise typer.Exit(Exit.UNREACHABLE)
    if examination.failed:
        raise typer.Exit(Exit.NO)


def _shown(examination: Examination) -> Table:
    """A line per check; a cure below its finding."""
    shown = Table(box=None, pad_edge=False, show_header=False)
    for _ in range(3):
        shown.add_column(no_wrap=True)
    shown.add_column(overflow="fold")
    for subject, name in SUBJECTS.items():
        if subject in examination.away:
            shown.add_row(_verdict("away"), name, "", one_line(examination.away[subject]))
        for finding in examination.findings:
            if finding.subject == subject:
                shown.add_row(_verdict(finding.verdict), name, finding.check, *_words(finding))
    return shown


def _words(finding: Finding) -> list[Text]:
    words = Text(one_line(finding.found))
    return [words.append(f"\n→ {one_line(finding.cure)}", style="bold") if finding.cure else words]


def _verdict(verdict: str) -> Text:
    return Text(verdict, style=STYLES[verdict])


def _sum_up(examination: Examination) -> None:
    verdicts = [finding.verdict for finding in examination.findings]
    fails, warns = verdicts.count("fail"), verdicts.count("warn")
    away = "".join(f"{SUBJECTS[subject]} is away, " for subject in examination.away)
    style = "bold red" if fails or away else "yellow" if warns else "green"
    say(f"\n{away}{fails} of {len(verdicts)} checks failed, {warns} warn", style)

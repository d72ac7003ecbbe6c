"""`demo`: the whole way of an event, with a failure, a poison record and a killed worker, and the closed account."""

from typing import Any

import typer

from tracequeue_worker.cli.auditing import show_audit
from tracequeue_worker.cli.dead_letters import letter_document, original_text
from tracequeue_worker.cli.output import AsJson, Exit, counted, own_name, print_json, print_lines, reported, say, table
from tracequeue_worker.cli.serving import DataDir
from tracequeue_worker.cli.tree import trace_tree
from tracequeue_worker.demo.run import Demonstration, run_demo
from tracequeue_worker.embedded import DATA_DIR
from tracequeue_worker.settings import WorkerSettings
from tracequeue_worker.trace_tree import trace_document


def demo(data_dir: DataDir = DATA_DIR, as_json: AsJson = False) -> None:
    """Bot, Redis Stream, two workers and Postgres, for real. Exits with 0 only if every event is accounted for."""
    with reported():
        seen = run_demo(WorkerSettings.load(), data_dir, say)
    if as_json:
        print_json(_document(seen))
    else:
        _show(seen)
    if not seen.closes:
        raise typer.Exit(Exit.NO)


def _show(seen: Demonstration) -> None:
    for trace, spans in seen.examples:
        print_lines(trace_tree(trace, spans))
        print_lines("")
    if seen.letter is not None:
        facts = [["id", seen.letter.id], ["reason", seen.letter.reason], ["error", seen.letter.error]]
        print_lines(table("dead letter", "", rows=facts))
        print_lines(original_text(seen.letter))
        print_lines("")
    show_audit(seen.audit)
    say(
        f"\n{seen.traces} traces, {seen.incomplete} incomplete; worker {seen.killed} was killed with "
        f"{counted(seen.killed_holding, 'frame')} in its hands; "
        + ("every event is accounted for" if seen.closes else "THE ACCOUNT DOES NOT CLOSE"),
        "green" if seen.closes else "bold red",
    )
    if seen.closes:
        say(f"look around: `{own_name()} up` in one terminal, then `{own_name()} traces` in another", "dim")


def _document(seen: Demonstration) -> dict[str, Any]:
    return {
        "closes": seen.closes,
        "examples": [trace_document(trace, spans) for trace, spans in seen.examples],
        "traces": seen.traces,
        "incomplete": seen.incomplete,
        "dead_letter": None if seen.letter is None else letter_document(seen.letter),
        "killed": {"worker": seen.killed, "frames_in_hand": seen.killed_holding},
        "bot": seen.bot,
        "account": next((emitter.model_dump(mode="json") for emitter in seen.audit.emitters), None),
    }

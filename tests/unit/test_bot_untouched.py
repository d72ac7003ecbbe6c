"""Tracing changes nothing in the reference bot's runner, configuration and progress: it is at the call sites."""

import ast
from pathlib import Path

import pytest

BOT = Path(__file__).parents[2] / "examples" / "bot"
UNTOUCHED = ("pipelines/runner.py", "pipelines/configuration.py", "progress.py")
CALL_SITES = {"learn.py": ["learn"], "train.py": ["train"], "support.py": ["support", "support_regen"]}


@pytest.mark.parametrize("file", UNTOUCHED)
@pytest.mark.parametrize("word", ["trace", "span", "collector"])
def test_they_contain_no_word_of_tracing(file: str, word: str) -> None:
    assert word not in (BOT / file).read_text().lower()


@pytest.mark.parametrize(("file", "pipelines"), CALL_SITES.items())
def test_the_trace_is_outside_and_the_progress_inside(file: str, pipelines: list[str]) -> None:
    contexts = [one for one in ast.walk(tree(f"handlers/{file}")) if isinstance(one, ast.AsyncWith)]
    found = []
    for context in contexts:
        trace, progress = (entered(item) for item in context.items)
        assert [ast.unparse(call.func) for call in (trace, progress)] == ["TraceContext", "ProgressUpdater"]
        assert {word.arg for word in trace.keywords} == {"telegram_id", "user_id", "session_id"}
        assert "await runner.run(" in ast.unparse(context)
        found.append(ast.literal_eval(trace.args[0]))
    assert found == pipelines


def test_every_pipeline_is_run_within_a_trace() -> None:
    sources = [path.read_text() for path in (BOT / "handlers").glob("*.py")]
    assert sum(source.count("runner.run(") for source in sources) == sum(map(len, CALL_SITES.values()))


def tree(file: str) -> ast.Module:
    return ast.parse((BOT / file).read_text())


def entered(item: ast.withitem) -> ast.Call:
    assert isinstance(item.context_expr, ast.Call)
    return item.context_expr

"""Fault 47: hostile values, from the bot's hands to the rows: each event is stored, bounded, and its neighbours too."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.fixtures.oracle import Site
from tracequeue import TraceContext, span
from tracequeue.encoding import encode

MAX_VALUE_BYTES = 65_536


class Raising:
    """Everything that it can be asked raises."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr")

    __str__ = __hash__ = __iter__ = __len__ = __bool__ = __eq__ = __repr__  # type: ignore[assignment]

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


class RaisingMapping(dict[str, Any]):
    def items(self) -> Any:
        raise RuntimeError("no items")


def cyclic() -> Any:
    value: dict[str, Any] = {"list": []}
    value["list"].append(value)
    value["self"] = value
    return value


def deep() -> Any:
    value: Any = "bottom"
    for _ in range(100_000):
        value = [value]
    return value


VALUES: dict[str, Callable[[], Any]] = {
    "cyclic": cyclic,
    "deep": deep,
    "a huge text": lambda: "ä" * 10_000_000,
    "huge bytes": lambda: b"\xff\0" * 5_000_000,
    "a wide list": lambda: list(range(1_000_000)),
    "a wide mapping": lambda: {f"key {number}": number for number in range(200_000)},
    "raising": Raising,
    "raising within": lambda: {"a": [Raising(), RaisingMapping(a=1)]},
    "a raising mapping": lambda: RaisingMapping(a=1),
    "keys that are no text": lambda: {(1, 2): 3, None: 4, b"\xff": 5, 1.5: 6},
    "surrogates and NUL": lambda: "\ud800\0\udfff\x1b[2J",
    "no numbers": lambda: [float("nan"), float("inf"), -float("inf"), 10**400, -(2**200)],
    "a generator": lambda: (number for number in range(3)),
    "a type": lambda: type,
    "an exception": lambda: ValueError("\0", Raising()),
}


@pytest.mark.parametrize("spooling", [True, False], ids=["with a spool", "without a spool"])
async def test_hostile_values_become_rows(site: Site, tmp_path: Path, spooling: bool) -> None:
    bot = site.bot(max_value_bytes=MAX_VALUE_BYTES, **({"spool_dir": tmp_path / "spool"} if spooling else {}))
    bot.trace()
    with TraceContext("support") as trace:
        bot.journal.traces.add(trace.trace_id)
        for name, make in VALUES.items():
            value = make()
            expected = orjson.loads(encode(value, MAX_VALUE_BYTES, "output_data", {}))
            with span(name) as step:
                step.set_output(value)
                bot.journal.spans[step.span_id.decode()] = (name, expected)  # type: ignore[attr-defined]
    bot.trace()
    assert await bot.collector.flush(60)
    assert (await bot.collector.stop()).complete
    await site.drain()
    await site.assert_account_closes(bot)
    (longest,) = await site.fetch("SELECT max(length(output_data::text)) AS characters FROM pipeline_spans")
    assert longest["characters"] < 2 * MAX_VALUE_BYTES


async def test_hostile_inputs_attributes_metadata_and_errors_become_rows(site: Site) -> None:
    bot = site.bot(max_value_bytes=MAX_VALUE_BYTES)
    for make in VALUES.values():
        value = make()
        with TraceContext("support", metadata={"value": value}) as trace:
            bot.journal.traces.add(trace.trace_id)
            with span("hostile", attributes={"value": value}) as step:
                step.set_input(value)
                step.set_output(1)
                step.record_error(ValueError(value))
                bot.journal.spans[step.span_id.decode()] = ("hostile", 1)  # type: ignore[attr-defined]
    assert (await bot.collector.stop(60)).complete
    await site.drain()
    await site.assert_account_closes(bot)

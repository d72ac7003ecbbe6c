"""Fault 26: records that nobody can store, each alone, first, in the middle, last, and as a whole frame."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from secrets import token_hex
from typing import Any

import pytest

from tests.fixtures.foreign import Producer
from tests.fixtures.frames import ended, span, started
from tests.fixtures.oracle import Site
from tests.fixtures.polling import eventually

NUL, SURROGATE = "\\u0000", "\\ud800"
YEAR_10000 = 253_402_300_800_000_000


@dataclass(frozen=True, slots=True)
class Poison:
    """`text` takes the place of a span's output, or `changes` of its fields. `reason` is that of its dead letter; or
    it is stored, with `output`."""

    reason: str = ""
    text: str = "null"
    output: Any = None
    changes: dict[str, Any] | None = None
    raw: bytes = b""
    named: bool = True
    """A frame without an emitter is read with more care."""

    def line(self) -> tuple[bytes, dict[str, Any]]:
        """The line as it is sent, and the event it is of."""
        event = span(**(self.changes or {"output_data": "HERE"}))
        return self.raw or json.dumps(event).replace('"HERE"', self.text).encode("utf-8", "surrogatepass"), event


DECODED = {
    "nul": Poison(text=f'"a{NUL}b"', output="a\ufffdb"),
    "nul in a name": Poison(text=f'{{"a{NUL}": 1}}', output={"a\ufffd": 1}),
    "lone surrogate": Poison(text=f'["{SURROGATE}"]', output=["\ufffd"]),
    "nan": Poison(text='{"x": NaN}', output={"x": None}),
    "infinity": Poison(text="[-Infinity, 1e999]", output=[None, None]),
    "beyond 64 bits": Poison(text=str(2**80), output=str(2**80), named=False),
    "ten thousand digits": Poison("undecodable", text="9" * 10_000),
    "raw nul byte": Poison("undecodable", raw=b'{"type": "span", "trace_id": "\0"}'),
    "not utf-8": Poison("encoding", raw=b'{"type": "span", "trace_id": "\xff"}'),
    "encoded surrogate": Poison("encoding", text='"\ud800"'),
    "year 10000": Poison("time_range", changes={"end_time": YEAR_10000}),
    "year 1": Poison("time_range", changes={"start_time": "0001-01-01T00:00:00+00:00"}),
    "no day of the calendar": Poison("schema", changes={"start_time": "2026-02-30T00:00:00Z"}),
    "overflowing time": Poison("schema", changes={"start_time": 2**70}),
    "endless duration": Poison("schema", changes={"duration_ms": "1e999"}),
    "nested 100,000 deep": Poison("too_large", text="[" * 100_000 + "]" * 100_000),
    "over a megabyte": Poison("too_large", text=f'"{"x" * 2**20}"'),
    "name of many words": Poison("schema", changes={"span_name": "n" * 10_000}),
    "no json": Poison("undecodable", raw=b"{"),
    "no object": Poison("schema", raw=b"[1]"),
}
"""What decoding saves or refuses."""

REFUSED = {
    "check": (
        "store:23514",
        "ALTER TABLE pipeline_spans ADD CONSTRAINT no_errors CHECK (error IS DISTINCT FROM 'bad')",
        {"error": "bad"},
    ),
    "division": (
        "store:22012",
        "ALTER TABLE pipeline_spans ADD CONSTRAINT odd CHECK (1 / (CASE error WHEN 'bad' THEN 0 ELSE 1 END) = 1)",
        {"error": "bad"},
    ),
    "not null": ("store:23502", "ALTER TABLE pipeline_spans ALTER kind SET NOT NULL", {"kind": None}),
    "index row": ("store:54000", "CREATE INDEX ON pipeline_spans (error)", {"error": token_hex(10_000)}),
    "deferred trigger": (
        "store:23514",
        """
        CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF NEW.error = 'bad' THEN
                RAISE EXCEPTION 'no' USING ERRCODE = 'check_violation', CONSTRAINT = 'looked';
            END IF;
            RETURN NULL;
        END $$;
        CREATE CONSTRAINT TRIGGER look AFTER INSERT ON pipeline_spans DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION look();
        """,
        {"error": "bad"},
    ),
}
"""What the store refuses: the reason, what makes it refuse, and the fields it refuses."""


def good(count: int) -> list[dict[str, Any]]:
    return [span(kind="tool") for _ in range(count)]


async def send_at_each_place(producer: Producer, bad: Callable[[], Any]) -> int:
    """Frames with a bad record alone, first, in the middle, last, and with nothing else. Returns how many are bad."""
    trace = started()
    await producer.send(trace, *good(2))
    await producer.send(bad())
    await producer.send(bad(), *good(3))
    await producer.send(*good(2), bad(), *good(2))
    await producer.send(*good(3), bad())
    await producer.send(*(bad() for _ in range(4)))
    await producer.send(*good(2), ended(trace_id=trace["trace_id"], start_time=trace["start_time"]))
    return 8


@pytest.mark.parametrize("name", DECODED)
async def test_a_record_that_cannot_be_stored_as_it_is(site: Site, name: str) -> None:
    poison = DECODED[name]
    producer = Producer(site.redis, site.prefix, named=poison.named)

    def bad() -> bytes:
        line, event = poison.line()
        producer.note(event, poison.output)
        return line

    sent = await send_at_each_place(producer, bad)
    await site.drain()
    dead = sent if poison.reason else 0
    assert [letter["reason"] for letter in await site.dead_letters()] == [poison.reason] * dead
    await site.assert_account_closes(producer, dead=dead)


@pytest.mark.parametrize("name", REFUSED)
async def test_a_record_that_the_store_refuses(site: Site, name: str) -> None:
    reason, statement, changes = REFUSED[name]
    await site.execute(statement)
    producer = Producer(site.redis, site.prefix)
    dead = await send_at_each_place(producer, lambda: span(kind="tool") | changes)
    await site.drain()
    assert [letter["reason"] for letter in await site.dead_letters()] == [reason] * dead
    await site.assert_account_closes(producer, dead=dead)


async def test_all_kinds_at_once(site: Site) -> None:
    """In one stream, with the flow of a healthy bot around them."""
    producer, bot, dead = Producer(site.redis, site.prefix, named=False), site.bot(), 0
    async with site.working() as report:
        async with bot.emitting():
            await eventually(lambda: report.frames)
            for poison in DECODED.values():
                line, event = poison.line()
                producer.note(event, poison.output)
                await producer.send(*good(1), line, *good(1))
                dead += bool(poison.reason)
            await eventually(lambda: report.dead_letters == dead)
        await eventually(site.settled)
    await site.assert_account_closes(producer, bot, dead=dead)

"""A producer with the rights of an emitter and bad intent: it harms itself alone, and no terminal."""

import json
import time
import unicodedata
from typing import Any
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from tests.fixtures.access import RedisAccess
from tests.fixtures.command import Answer, Command
from tests.fixtures.frames import ended, frame, span, started
from tests.fixtures.journal import Bot
from tests.fixtures.oracle import Site
from tests.fixtures.polling import eventually
from tracequeue.frame import zstd
from tracequeue.keys import dead_key, events_key

ESCAPES = (
    "\x1b[31m\x1b]0;owned\x07\x1b]8;;https://example.org\x1b\\\x1b]52;c;cm0=\x07\x9b31m\u202egnp.exe\u2066[red]\r\n\x08"
)
"""Colours, a title, a link, the clipboard, 8-bit controls, text turned around, markup, and lines of its own."""
ALLOWED = "\n\t\u200c\u200d"
MANY = 10_000


async def send(site: Site, access: RedisAccess, *entries: dict[Any, Any]) -> None:
    """As the hostile producer, with no more rights than an emitter has."""
    async with Redis.from_url(access.emitter) as client:
        pipeline = client.pipeline(transaction=False)
        for entry in entries:
            pipeline.xadd(events_key(site.prefix, 0), entry)
        await pipeline.execute()


async def assert_unharmed(site: Site, bot: Bot) -> None:
    """Every event of the bot is a row of equal content, and its account closes."""
    await bot.stop()
    await eventually(site.settled, 120)
    rows = await site.fetch("SELECT span_id, span_name, output_data FROM pipeline_spans")
    stored = {row["span_id"]: (row["span_name"], json.loads(row["output_data"] or "null")) for row in rows}
    assert {span_id: stored.get(span_id) for span_id in bot.journal.spans} == bot.journal.spans
    ended_ones = await site.fetch("SELECT trace_id FROM pipeline_traces WHERE status IS NOT NULL")
    assert bot.journal.traces <= {row["trace_id"] for row in ended_ones}


def assert_harmless(answer: Answer) -> None:
    assert answer.code in (0, 1), answer
    found = {
        character
        for character in answer.out + answer.err
        if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") and character not in ALLOWED
    }
    assert not found, answer


async def test_bombs_and_nonsense(site: Site, access: RedisAccess) -> None:
    bomb = zstd.compress(b"{}\n" * 50_000_000, 1)
    assert len(bomb) < 1_000_000
    bot = site.bot(access.emitter)
    async with site.working():
        for _ in range(10):
            bot.trace()
            await send(
                site,
                access,
                frame(enc=b"zstd", body=bomb),
                frame(meta=b"[" * 50_000),
                frame(acct=b'{"lost":[]}'),
                {"body": "[" * 100_000},
                {"body": "", "retry": "[-1]"},
            )
        await assert_unharmed(site, bot)
    assert len(await site.dead_letters()) == 50


async def test_ten_thousand_emitters_each_with_a_pipeline_of_its_own(
    site: Site, access: RedisAccess, command: Command
) -> None:
    bot = site.bot(access.emitter)
    bot.burst(5)
    for first in range(0, MANY, 1000):
        names = [f"pipeline {number}" for number in range(first, first + 1000)]
        await send(site, access, *(frame(started(pipeline_name=name), ended(pipeline_name=name)) for name in names))
    async with site.working():
        bot.burst(5)
        await assert_unharmed(site, bot)
    assert await site.dead_letters() == []
    for arguments in (["status"], ["traces", "--limit", "1000"]):
        answer = command(*arguments)
        assert answer.code == 0, answer.err
        assert_harmless(answer)


async def test_a_flood_of_frames_of_nothing(site: Site, access: RedisAccess) -> None:
    bot = site.bot(access.emitter)
    bot.burst(5)
    await send(
        site, access, *(frame(src="a" * 32, seq=seq) for seq in range(1, MANY)), frame(src="a" * 32, seq=2**63 - 1)
    )
    async with site.working():
        bot.burst(5)
        await assert_unharmed(site, bot)


async def test_no_text_commands_a_terminal(site: Site, access: RedisAccess, command: Command) -> None:
    trace_id = await send_escapes(site, access)
    assert_harmless(command("worker", "--drain"))
    await site.redis.xgroup_createconsumer(events_key(site.prefix, 0), "persist", ESCAPES)
    letters = [entry_id.decode() for entry_id, _ in await site.redis.xrange(dead_key(site.prefix, 0))]
    assert len(letters) == 6
    shown = [["dlq", "show", letter] for letter in letters]
    for arguments in (["status"], ["audit"], ["traces"], ["trace", trace_id], ["dlq", "list"], *shown):
        assert_harmless(command(*arguments))
        assert_harmless(command(*arguments, "--json"))
    assert_harmless(command("trace", trace_id, "--io"))


async def send_escapes(site: Site, access: RedisAccess) -> str:
    """Escape sequences in every text that there is: of a trace that is stored, whose id is returned, and of letters."""
    trace_id = str(uuid4())
    trace = ended(
        trace_id=trace_id, pipeline_name=ESCAPES, session_id=ESCAPES, tags=[ESCAPES], parent=ESCAPES, status="error",
        success=False, error=ESCAPES, metadata={ESCAPES: ESCAPES}, dropped={ESCAPES: 1},
    )  # fmt: skip
    step = span(
        trace_id=trace_id, span_name=ESCAPES, kind=ESCAPES, error=ESCAPES, input_data={ESCAPES: ESCAPES},
        output_data=ESCAPES, attributes={"gen_ai.request.model": ESCAPES}, truncated={ESCAPES: ESCAPES},
    )  # fmt: skip
    meta = json.dumps(dict.fromkeys(("service", "environment", "release", "host", "version"), ESCAPES)).encode()
    account = json.dumps({"emitted": 9, "lost": {ESCAPES: 1}}).encode()
    await send(
        site,
        access,
        frame(trace, step, meta=meta, acct=account),
        frame(ESCAPES.encode(), meta=meta, acct=account),
        frame(span(trace_id=ESCAPES)),
        {"v": ESCAPES, "body": ESCAPES, ESCAPES: ESCAPES},
        {"enc": ESCAPES, "body": ESCAPES},
        {"src": ESCAPES, "body": ""},
        {"body": "", "retry": ESCAPES},
    )
    return trace_id


async def test_spans_that_make_a_bottomless_tree(site: Site, access: RedisAccess, command: Command) -> None:
    """A chain of thousands, and ids used twice at each of many levels, which would be drawn 2^30 times."""
    trace_id, now = str(uuid4()), time.time_ns() // 1000
    chain = [(f"{number:016x}", f"{number - 1:016x}") for number in range(1, 5000)]
    twice = [(f"{number:08x}ffffffff", f"{number - 1:08x}ffffffff") for number in range(1, 31) for _ in range(2)]
    spans = [
        span(trace_id=trace_id, span_id=span_id, parent_span_id=parent, start_time=now + number, end_time=now + number)
        for number, (span_id, parent) in enumerate(chain + twice)
    ]
    await send(site, access, frame(ended(trace_id=trace_id, span_count=len(spans)), *spans))
    await site.drain()
    answer = command("trace", trace_id)
    assert answer.code == 0, answer.err
    assert answer.out.count("agent:trainer") == len(spans)
    assert command("trace", trace_id, "--json").code == 0


async def test_values_as_deep_as_are_stored_can_be_looked_at(site: Site, access: RedisAccess, command: Command) -> None:
    traces = {depth: str(uuid4()) for depth in (240, 245, 250, 251, 252, 253, 254, 260)}
    for depth, trace_id in traces.items():
        value: Any = 1
        for _ in range(depth):
            value = {"a": value}
        deep = span(trace_id=trace_id, input_data=value, output_data=value, attributes={"a": value})
        await send(site, access, frame(ended(trace_id=trace_id), deep))
    report = await site.drain()
    assert report.dead_letters
    for (trace_id,) in await site.fetch("SELECT trace_id FROM pipeline_spans"):
        for option in ("--io", "--json"):
            assert command("trace", str(trace_id), option).code == 0


async def test_numbers_of_another_emitter_taken_first_lose_nothing(site: Site, access: RedisAccess) -> None:
    """Whoever knows an emitter's id can take its numbers. Its own frames become letters that keep every event."""
    bot = site.bot(access.emitter)
    src = bot.collector.identity.emitter_id
    await send(site, access, *(frame(span(), src=src, seq=seq) for seq in range(1, 200)))
    bot.burst(20)
    await bot.stop()
    report = await site.drain()
    letters = await site.dead_letters()
    assert report.conflicts == len(letters) > 0
    assert {(letter["reason"], letter["resendable"]) for letter in letters} == {("seq_conflict", "1")}
    assert sum(int(letter["field:n"]) for letter in letters) == bot.journal.events


async def test_a_retry_of_another_emitters_frame_changes_no_row(site: Site, access: RedisAccess) -> None:
    """Not even where it names what is stored; and what was refused there can still be retried by its owner."""
    bot = site.bot(access.emitter)
    src = bot.collector.identity.emitter_id
    bot.trace()
    await bot.stop()
    good = span(span_id="a" * 16)
    await send(site, access, frame(b"broken", src=src, seq=1000))
    await site.drain()
    before = await site.fetch("SELECT * FROM pipeline_spans ORDER BY span_id")
    victim = {"trace_id": str(before[0]["trace_id"]), "span_id": before[0]["span_id"]}
    start = int(before[0]["start_time"].timestamp() * 1_000_000)
    forged = span(**victim, start_time=start, end_time=start, span_name="forged")
    await send(
        site, access, frame(forged, src=src, seq=1, retry=b"[0]"), frame(forged, src=src, seq=1000, retry=b"[0]")
    )
    await site.drain()
    after = await site.fetch(
        "SELECT * FROM pipeline_spans WHERE span_id = ANY ($1)", [row["span_id"] for row in before]
    )
    assert sorted(map(str, after)) == sorted(map(str, before))
    await send(site, access, frame(good, src=src, seq=1000, retry=b"[0]"))
    await site.drain()
    assert await site.fetch("SELECT 1 FROM pipeline_spans WHERE span_id = $1", good["span_id"])


async def test_a_stream_emptied_by_the_right_to_add_is_a_loss_that_shows(site: Site, access: RedisAccess) -> None:
    """Redis cannot allow XADD without MAXLEN."""
    key = events_key(site.prefix, 0)
    bot = site.bot(access.emitter)
    bot.trace()
    assert await bot.collector.flush(30)
    await site.drain()
    bot.burst(5)
    assert await bot.collector.flush(30)
    (backlog,) = await site.backlog()
    async with Redis.from_url(access.emitter) as client:
        await client.xadd(key, {"body": ""}, maxlen=0, approximate=False)
    async with site.working() as report:
        await eventually(lambda: report.lost_entries, 60)
    assert report.lost_entries == backlog.unread + 1


async def test_the_last_id_taken_by_the_right_to_add_stops_emitters_until_it_is_cured(
    site: Site, access: RedisAccess, command: Command, caplog: pytest.LogCaptureFixture
) -> None:
    """docs/security.md: once all is settled, delete the stream. What emitters kept meanwhile arrives."""
    key = events_key(site.prefix, 0)
    bot = site.bot(access.emitter)
    async with Redis.from_url(access.emitter) as client:
        await client.xadd(key, {"body": ""}, id=f"{2**64 - 1}-{2**64 - 1}")
    bot.burst(5)
    await eventually(lambda: "last possible ID" in caplog.text)
    async with site.working():
        await eventually(site.settled)
        assert command("status").code == 0
        await site.redis.delete(key)
        assert await bot.collector.persisted(60)
    await site.assert_account_closes(bot)

"""What an admin is told, on a real store and real streams, through a real server that speaks the Bot API."""

import re
from datetime import timedelta

from tests.fixtures.alerting import HOUR, MINUTE, Alerting
from tests.fixtures.decoded import ended_row, started_row
from tracequeue.keys import events_key
from tracequeue_worker.alerts.rules import AlertRules
from tracequeue_worker.rows import microseconds

TIMEOUT = "TimeoutError: no answer in 30 s"


async def test_where_all_is_well_nothing_is_said(alerting: Alerting) -> None:
    await alerting.ends("learn", ok=20, errors=[TIMEOUT] * 2)
    assert await alerting.looks(20) == []


async def test_failures_are_told_once_though_they_last_and_once_when_they_are_over(alerting: Alerting) -> None:
    await alerting.ends("learn", ok=7, errors=["KeyError: 'plan'", TIMEOUT, "TimeoutError: no answer in 31 s"])
    (said,) = await alerting.looks(10)
    assert said == (
        "🔴 learn fails\n30 % failed: 3 of 10 that ended in the last 15 min.\n"
        "Mostly: TimeoutError: no answer in 31 s\nSee /failed"
    )
    await alerting.ends("learn", ok=40)
    (over,) = await alerting.looks(6)
    assert over.startswith("🟢 Over after 10 min: learn fails\n0 % failed: 0 of 40")
    assert await alerting.looks(10) == []


async def test_failures_are_told_again_when_their_share_has_doubled(alerting: Alerting) -> None:
    await alerting.ends("learn", ok=7, errors=[TIMEOUT] * 3)
    assert len(await alerting.looks()) == 1
    await alerting.ends("learn", errors=[TIMEOUT])
    assert await alerting.looks() == []
    await alerting.ends("learn", errors=[TIMEOUT] * 9)
    (said,) = await alerting.looks(3)
    assert said.startswith("🔴 learn fails, worse than told before\n65 % failed: 13 of 20")


async def test_a_share_that_swings_around_the_limit_is_one_alert(alerting: Alerting) -> None:
    """Between 18 % and 25 %: above the limit, and below it but above half of it."""
    said: list[str] = []
    for swing in range(6):
        await alerting.ends("learn", ok=9, errors=[TIMEOUT] * (3 if swing % 2 == 0 else 2))
        said += await alerting.looks(14)
        alerting.now += 2 * MINUTE
    assert len(said) == 1


async def test_few_traces_prove_nothing_and_each_pipeline_counts_for_itself(alerting: Alerting) -> None:
    await alerting.ends("train", errors=[TIMEOUT] * 4)
    await alerting.ends("learn", ok=50)
    assert await alerting.looks() == []
    await alerting.ends("train", errors=[TIMEOUT])
    (said,) = await alerting.looks()
    assert "train fails\n100 % failed: 5 of 5" in said
    assert "learn" not in said


async def test_failures_are_over_where_nothing_ends_any_more(alerting: Alerting) -> None:
    await alerting.ends("learn", errors=[TIMEOUT] * 5)
    assert len(await alerting.looks()) == 1
    assert await alerting.looks(14) == []
    (over,) = await alerting.looks(8)
    assert re.fullmatch("🟢 Over after 1[45] min: learn fails", over)


async def test_a_trace_counts_when_it_ends_and_one_that_was_cancelled_did_not_fail(alerting: Alerting) -> None:
    await alerting.ends("learn", ok=1, errors=[TIMEOUT] * 20, ago=16 * MINUTE)
    await alerting.store(*[started_row(pipeline_name="learn", start_time=microseconds(alerting.now)) for _ in range(9)])
    assert await alerting.looks() == []


async def test_all_of_a_look_is_one_message(alerting: Alerting) -> None:
    for pipeline in ("learn", "train"):
        await alerting.ends(pipeline, errors=[TIMEOUT] * 5)
    await alerting.letters(3)
    (said,) = await alerting.looks()
    assert said.count("🔴") == 3


async def test_a_stale_pipeline(alerting: Alerting) -> None:
    await alerting.process(AlertRules(stale={"learn": HOUR}))
    await alerting.ends("learn", ok=6, ago=2 * MINUTE)
    assert await alerting.looks(56) == []
    (said,) = await alerting.looks(9)
    assert said == "🔴 learn is stale\nNothing of it has ended for 1 h 1 min; it may be silent for 1 h."
    assert await alerting.looks(22, after=HOUR) == []
    assert "still, for 1 day" in "".join(await alerting.looks(3, after=HOUR))
    await alerting.ends("learn", ok=1)
    (over,) = await alerting.looks(7)
    assert over.startswith("🟢 Over after 1 day 1 h: learn is stale\nSomething ended 6 min")


async def test_only_what_is_named_and_ran_regularly_can_be_stale(alerting: Alerting) -> None:
    await alerting.process(AlertRules(stale={"train": HOUR, "never": HOUR}))
    await alerting.ends("learn", ok=50)
    await alerting.ends("train", ok=4)
    await alerting.ends("train", ok=50, ago=timedelta(days=2))
    assert await alerting.looks(5, after=HOUR) == []


async def test_traces_that_start_and_never_end_make_a_pipeline_stale_too(alerting: Alerting) -> None:
    await alerting.process(AlertRules(stale={"learn": HOUR}))
    await alerting.ends("learn", ok=6)
    for _ in range(2):
        await alerting.store(started_row(pipeline_name="learn", start_time=microseconds(alerting.now)))
        said = await alerting.looks(after=HOUR / 2)
    assert "Started since, and not ended: 2" in said[0]


async def test_what_waits_in_the_stream_is_not_stale_as_far_as_anybody_knows(alerting: Alerting) -> None:
    await alerting.process(AlertRules(stale={"learn": HOUR}))
    await alerting.ends("learn", ok=6)
    await waits(alerting, 11 * MINUTE)
    (said,) = await alerting.looks(3, after=HOUR)
    assert "stale" not in said


async def test_a_pipeline_is_not_well_again_because_nothing_is_stored_any_more(alerting: Alerting) -> None:
    await alerting.ends("learn", errors=[TIMEOUT] * 5)
    assert len(await alerting.looks()) == 1
    await waits(alerting, 11 * MINUTE)
    said = await alerting.looks(30)
    assert [text.split("\n")[0] for text in said] == ["🔴 Traces are not being stored"]
    await alerting.redis.delete(events_key(alerting.settings.prefix, 0))
    assert any("Over" in text and "learn fails" in text for text in await alerting.looks(10))


async def test_a_long_trace_that_ended_a_minute_ago_is_no_silence(alerting: Alerting) -> None:
    """It began before the others, which were short."""
    await alerting.process(AlertRules(stale={"learn": HOUR}))
    await alerting.ends("learn", ok=6, ago=3 * HOUR)
    moment = microseconds(alerting.now)
    begun = moment - 4 * 3_600_000_000
    await alerting.store(ended_row(pipeline_name="learn", start_time=begun, end_time=moment - 60_000_000))
    assert await alerting.looks(3) == []


async def test_a_pipeline_that_always_fails_is_told_among_many_that_fail_seldom(alerting: Alerting) -> None:
    for number in range(60):
        await alerting.ends(f"busy {number}", ok=94, errors=[TIMEOUT] * 6)
    await alerting.ends("payments", errors=[TIMEOUT] * 5)
    (said,) = await alerting.looks()
    assert "payments fails" in said


async def test_new_dead_letters_are_one_message_by_reason(alerting: Alerting) -> None:
    await alerting.letters(12)
    await alerting.letters(2, "store:23514", 'new row for "pipeline_traces" violates a check')
    (said,) = await alerting.looks()
    assert said == (
        "🔴 New dead letters\nschema: 12, such as trace_id is missing\n"
        'store:23514: 2, such as new row for "pipeline_traces" violates a check\nSee /dlq'
    )
    await alerting.letters(30)
    assert await alerting.looks(10) == []
    await alerting.letters(1, "unknown_version", "9")
    (said,) = await alerting.looks(10)
    assert said.startswith("🔴 New dead letters, worse than told before\nschema: 42, such as")
    assert "unknown_version: 1, such as 9" in said


async def test_ten_times_as_many_dead_letters_are_told_again(alerting: Alerting) -> None:
    told = []
    for count in (2, 17, 1, 179, 1, 1):
        await alerting.letters(count)
        told.append(len(await alerting.looks()))
    assert told == [1, 0, 1, 0, 1, 0]


async def test_dead_letters_are_over_when_none_came_for_long_and_then_they_are_a_matter_of_its_own(
    alerting: Alerting,
) -> None:
    await alerting.letters(12)
    assert len(await alerting.looks()) == 1
    assert await alerting.looks(59) == []
    (over,) = await alerting.looks(10)
    assert over.startswith("🟢 Over after 1 h: New dead letters\nNone for 1 h, 12 in all.")
    assert await alerting.looks(5) == []
    await alerting.letters(1)
    (said,) = await alerting.looks()
    assert said == "🔴 New dead letters\nschema: 1, such as trace_id is missing\nSee /dlq"


async def test_more_dead_letters_than_a_look_takes_are_counted_by_the_next_ones(alerting: Alerting) -> None:
    await alerting.letters(2500)
    (said,) = await alerting.looks(3)
    assert "schema: 1000," in said
    await alerting.letters(1, "unknown_version")
    (said,) = await alerting.looks()
    assert "schema: 2500," in said


async def test_a_backlog_that_does_not_move(alerting: Alerting) -> None:
    await waits(alerting, 5 * MINUTE)
    assert await alerting.looks() == []
    await alerting.redis.delete(events_key(alerting.settings.prefix, 0))
    await waits(alerting, 11 * MINUTE)
    (said,) = await alerting.looks(5)
    assert said.startswith("🔴 Traces are not being stored\nFrames that wait: 1, the oldest for 11 min")
    assert "No worker reads them: start one with tracequeue worker" in said
    await alerting.redis.delete(events_key(alerting.settings.prefix, 0))
    (over,) = await alerting.looks(6)
    assert over == "🟢 Over after 5 min: Traces are not being stored\nNothing waits."


async def test_what_others_chose_commands_nothing_and_fits(alerting: Alerting) -> None:
    """Names and errors full of tags, and as long as they may be."""
    hostile = "<b>&lt;</i>\u202e\n" * 50
    for number in range(30):
        await alerting.ends(f"{number}{hostile}", errors=[hostile] * 5)
    for number in range(9):
        await alerting.letters(1, f"{number}{hostile}", hostile)
    said = await alerting.looks(8)
    assert "".join(said).count("🔴") == 31
    assert len(said) > 1
    assert all(len(call["text"]) > 4000 for call in alerting.telegram.calls("sendMessage")[:1])
    bold = {entity["type"] for message in alerting.ada.chat for entity in message.entities}
    assert bold <= {"bold", "code", "bot_command"}


async def test_secrets_in_errors_are_not_told(alerting: Alerting) -> None:
    secret = "sk-ant-api03-" + "a1B2c3D4" * 12
    await alerting.ends("learn", errors=[f"401: the key {secret} is not valid"] * 5)
    await alerting.letters(1, error=f"refused: {secret}")
    (said,) = await alerting.looks()
    assert "is not valid" in said
    assert "sk-ant-api03" not in said


async def waits(alerting: Alerting, age: timedelta) -> None:
    """A frame has been in the stream for so long, by the server's clock."""
    seconds, microseconds_ = await alerting.redis.time()
    moment = round((seconds + microseconds_ / 1e6 - age.total_seconds()) * 1000)
    await alerting.redis.xadd(events_key(alerting.settings.prefix, 0), {"v": "1"}, id=f"{moment}-0")

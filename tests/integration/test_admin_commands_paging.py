"""Pages of `/traces`: turned in place, in both directions, by several admins at once."""

import pytest
from aiogram import Bot

from examples.bot.stand_ins.telegram import ChatMessage, Person, TelegramStandIn
from tests.fixtures.administration import ADMINS, administered, asks
from tests.fixtures.decoded import decoded, ended_row, now
from tests.fixtures.oracle import Site
from tests.fixtures.polling import eventually
from tracequeue_worker.sinks.postgres import PostgresSink
from tracequeue_worker.telegram.commands.traces import PAGE

SECOND = 1_000_000
NEWER, OLDER = "« Newer", "Older »"


def shown(message: ChatMessage) -> list[str]:
    """The ids of a page, newest first."""
    return [word.removeprefix("/trace_") for word in message.text.split() if word.startswith("/trace_")]


async def stored(sink: PostgresSink, count: int, later: int = 0, **changes) -> list[str]:
    """The ids of so many new traces, newest first, a second apart."""
    newest = now() + later * SECOND
    rows = [ended_row(**changes, start_time=newest - number * SECOND) for number in range(count)]
    await sink.write([decoded(*rows)])
    return [row.trace_id.replace("-", "") for row in rows]


async def turned(person: Person, page: ChatMessage, label: str) -> ChatMessage:
    """The page after the press: the same message."""
    assert await person.presses(label, on=page) is None
    return next(message for message in person.chat if message.message_id == page.message_id)


async def test_pages_are_turned_in_place_to_the_end_and_back(sink: PostgresSink, admin: Person):
    ids = await stored(sink, 2 * PAGE + 3)
    page = await asks(admin, "/traces", "Traces")
    assert (shown(page), page.buttons) == (ids[:PAGE], [NEWER, OLDER])
    page = await turned(admin, page, OLDER)
    assert (shown(page), page.buttons) == (ids[PAGE : 2 * PAGE], [NEWER, OLDER])
    page = await turned(admin, page, OLDER)
    assert (shown(page), page.buttons) == (ids[2 * PAGE :], [NEWER])
    page = await turned(admin, page, NEWER)
    assert shown(page) == ids[PAGE : 2 * PAGE]
    page = await turned(admin, page, NEWER)
    assert shown(page) == ids[:PAGE]
    assert await admin.presses(NEWER, on=page) == "nothing newer"

    newest = await stored(sink, 2, later=10)
    page = await turned(admin, page, NEWER)
    assert shown(page) == [*newest, *ids[: PAGE - 2]]


async def test_traces_that_started_together_are_on_one_page_each(sink: PostgresSink, admin: Person):
    start = now()
    await sink.write([decoded(*(ended_row(start_time=start) for _ in range(3 * PAGE)))])
    page = await asks(admin, "/traces", "Traces")
    found = shown(page)
    for _ in range(2):
        page = await turned(admin, page, OLDER)
        found += shown(page)
    assert len(set(found)) == len(found) == 3 * PAGE


@pytest.mark.parametrize("name", ["support", "two words", "pipeline=x", "it's", "<b>&", "@42", "ünï" * 60])
async def test_the_question_stays_whatever_the_pipeline_is_called(sink: PostgresSink, admin: Person, name: str):
    ids = await stored(sink, PAGE + 2, pipeline_name=name, status="error", success=False, telegram_id=-5)
    await stored(sink, PAGE, pipeline_name="other")
    quoted = "pipeline='{}'".format(name.replace("'", "'\"'\"'"))
    page = await asks(admin, f"/traces id=-5 {quoted} failed 3d", "Traces")
    assert shown(page) == ids[:PAGE]
    page = await turned(admin, page, OLDER)
    assert shown(page) == ids[PAGE:]
    page = await turned(admin, page, NEWER)
    assert shown(page) == ids[:PAGE]


async def test_admins_turn_their_pages_independently(
    sink: PostgresSink, telegram: TelegramStandIn, telegram_bot: Bot, site: Site
):
    mine, yours = await stored(sink, PAGE + 1, pipeline_name="a"), await stored(sink, PAGE + 1, pipeline_name="b")
    ada, bob = (telegram.person(number, "somebody") for number in ADMINS)
    async with administered(telegram_bot, site.settings()):
        first, second = await asks(ada, "/traces a", "Traces"), await asks(bob, "/traces b", "Traces")
        third = await asks(ada, "/traces b", "Traces")
        assert shown(await turned(bob, second, OLDER)) == yours[PAGE:]
        assert shown(await turned(ada, first, OLDER)) == mine[PAGE:]
        assert shown(await turned(ada, third, OLDER)) == yours[PAGE:]
        assert shown(await turned(bob, second, NEWER)) == yours[:PAGE]


async def test_pages_are_turned_after_a_restart_of_the_bot(
    sink: PostgresSink, telegram: TelegramStandIn, telegram_bot: Bot, site: Site
):
    ids, ada = await stored(sink, PAGE + 1), telegram.person(ADMINS[0], "Ada")
    async with administered(telegram_bot, site.settings()):
        page = await asks(ada, "/traces", "Traces")
    async with administered(telegram_bot, site.settings()):
        assert shown(await turned(ada, page, OLDER)) == ids[PAGE:]


async def test_the_button_of_somebody_else_does_nothing(sink: PostgresSink, telegram: TelegramStandIn, admin: Person):
    """Who is no admin any more still has the messages."""
    ids = await stored(sink, PAGE + 1)
    page = await asks(admin, "/traces", "Traces")
    eve = telegram.person(1, "Eve")
    press = eve.press(page, page.keyboard[0][1])
    mine = await asks(admin, "/traces", "Traces")
    assert not press.answered
    assert shown(next(one for one in admin.chat if one.message_id == page.message_id)) == shown(mine) == ids[:PAGE]
    await eventually(lambda: telegram.calls("answerCallbackQuery") == [])


async def test_a_period_that_has_passed_leaves_the_page(sink: PostgresSink, admin: Person, database):
    await stored(sink, PAGE + 1)
    page = await asks(admin, "/traces 1h", "Traces")
    await database.execute("DELETE FROM pipeline_traces")
    assert await admin.presses(OLDER, on=page) == "nothing older"
    assert len(shown(await admin.hears("Traces"))) == PAGE

"""The admin commands of a bot: who may use them, what lists and trees show, and whose text is only text."""

import json

import pytest
from aiogram import Bot, Dispatcher
from aiogram.types import BotCommand, BotCommandScopeAllPrivateChats, Message

from examples.bot.stand_ins.telegram import Person, TelegramStandIn
from tests.fixtures.administration import ADMINS, NOT_UNDERSTOOD, administered, asks
from tests.fixtures.decoded import decoded, ended_row, now, span_row, started_row
from tests.fixtures.oracle import Site
from tests.fixtures.polling import eventually
from tests.fixtures.telegram import polling
from tracequeue_worker.sinks.postgres import PostgresSink
from tracequeue_worker.telegram import admin_router
from tracequeue_worker.telegram.commands import trace
from tracequeue_worker.telegram.menu import COMMANDS

SECOND = 1_000_000
HOSTILE = "<b>&amp; /dlq @ada \x1b[31m\u202eevil</b></pre></code>"


def hexadecimal(row) -> str:
    return row.trace_id.replace("-", "")


def ordered(*rows):
    """Traces of which each is older than the one before."""
    newest = now()
    return [row._replace(start_time=newest - number * SECOND) for number, row in enumerate(rows)]


async def test_for_others_it_is_as_if_there_were_no_such_commands(telegram, admin: Person):
    stranger = telegram.person(1, "Eve")
    for command in COMMANDS:
        assert (await asks(stranger, f"/{command}")).text == NOT_UNDERSTOOD
    assert stranger.menu == []


async def test_not_in_a_group_where_others_read_the_answer(telegram, admin: Person):
    group = telegram.group(-7, "everybody", admin, telegram.person(1, "Eve"))
    assert (await asks(admin.within(group), "/traces")).text == NOT_UNDERSTOOD


async def test_the_menus_of_admins_have_them_below_the_commands_of_the_bot(telegram, telegram_bot: Bot, site: Site):
    ada, eve = telegram.person(42, "Ada"), telegram.person(1, "Eve")
    await telegram_bot.set_my_commands([BotCommand(command="learn", description="learn something")])
    telegram.fail("setMyCommands", status=400, description="Bad Request: chat not found", chat_id=43)
    async with administered(telegram_bot, site.settings()):
        await eventually(lambda: ada.menu == [("learn", "learn something"), *COMMANDS.items()])
        assert eve.menu == [("learn", "learn something")]
    await telegram_bot.set_my_commands(
        [BotCommand(command="train", description="train"), BotCommand(command="why", description="mine")],
        scope=BotCommandScopeAllPrivateChats(),
    )
    async with administered(telegram_bot, site.settings()):
        await eventually(lambda: ada.menu == [("train", "train"), *COMMANDS.items()])


async def test_an_admin_who_opens_the_chat_later_has_the_menu_from_the_first_command(
    telegram: TelegramStandIn, telegram_bot: Bot, site: Site
) -> None:
    async with administered(telegram_bot, site.settings()):
        await eventually(lambda: len(telegram.calls("setMyCommands")) >= len(ADMINS))
        ada = telegram.person(ADMINS[0], "Ada")
        assert ada.menu == []
        await asks(ada, "/traces")
        await eventually(lambda: ada.menu == list(COMMANDS.items()))
        tried = len(telegram.calls("setMyCommands"))
        await asks(ada, "/traces")
        assert len(telegram.calls("setMyCommands")) == tried


async def test_a_bot_starts_though_menus_cannot_be_set(
    telegram: TelegramStandIn, telegram_bot: Bot, site: Site, caplog
):
    telegram.fail("getMyCommands", status=500, times=None)
    async with administered(telegram_bot, site.settings()):
        assert "Commands for admins" in (await asks(telegram.person(42, "Ada"), "/admin")).text
    assert "has no menu of the admin commands yet" in caplog.text


async def test_the_commands_are_listed(admin: Person):
    answer = await asks(admin, "/admin")
    assert all(f"/{command} " in answer.text for command in COMMANDS)


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("", "abcde"), ("learn", "ab"), ("failed", "bd"), ("learn failed", "b"), ("failed learn 1h", "b"),
        ("id=5", "cd"), ("@5 failed", "d"), ("2h", "abcd"), ('"two words"', "c"), ("pipeline=failed", "d"),
    ],
)  # fmt: skip
async def test_traces_are_listed_newest_first_and_filtered(sink: PostgresSink, admin: Person, words, shown):
    rows = ordered(
        ended_row(pipeline_name="learn"),
        ended_row(pipeline_name="learn", status="error", success=False, error="E: no"),
        ended_row(pipeline_name="two words", telegram_id=5),
        ended_row(pipeline_name="failed", telegram_id=5, status="error", success=False),
        ended_row(pipeline_name="train"),
    )
    rows[4] = rows[4]._replace(start_time=now() - 3 * 3600 * SECOND)
    await sink.write([decoded(*rows)])
    answer = await asks(admin, f"/traces {words}", "Traces")
    found = [word.removeprefix("/trace_") for word in answer.text.split() if word.startswith("/trace_")]
    assert found == [hexadecimal(rows["abcde".index(letter)]) for letter in shown]


async def test_what_a_line_of_the_list_tells(sink: PostgresSink, admin: Person):
    row = ended_row(pipeline_name="support", status="error", success=False, error="E: no", duration_ms=1240.0)
    span = span_row(trace_id=row.trace_id, start_time=row.start_time)
    await sink.write([decoded(row._replace(span_count=1), span), decoded(started_row(pipeline_name="learn"))])
    text = (await asks(admin, "/traces support", "Traces")).text
    assert "❌ support" in text
    assert "1.24 s · 1 span · id=42" in text
    assert "E: no" in text
    assert "⏳ learn" in (await asks(admin, "/traces", "Traces")).text


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("@ada", "a person is a number here"), ("42", "is it a pipeline?"), ("2h 3h", "one of the kind is enough"),
        ("a b", "one of the kind is enough"), ("id=99999999999999999999", "a person is a number here"),
        ("id=9999999999999999999", "no Telegram id"), ("999999w", "too long ago"), ("0h", "no time at all"),
        ('"open', "quotation mark"), ("a\u202eb", "cannot be seen"), ("x" * 300, "1 to 200 characters"),
    ],
)  # fmt: skip
async def test_a_wrong_argument_is_answered(admin: Person, words, says):
    assert says in (await asks(admin, f"/traces {words}")).text


@pytest.mark.parametrize(("command", "says"), [("/cost learn", "takes a period"), ("/slow failed", "takes a pipeline")])
async def test_each_command_says_what_it_takes(admin: Person, command, says):
    assert says in (await asks(admin, command)).text


async def test_nothing_found_names_the_pipelines_that_there_are(sink: PostgresSink, admin: Person):
    await sink.write([decoded(ended_row(pipeline_name="support"))])
    text = (await asks(admin, "/traces suport", "Traces")).text
    assert "no traces here" in text
    assert "in the last day: support" in text


async def test_a_trace_is_opened_by_a_tap_and_by_its_id(sink: PostgresSink, admin: Person):
    trace = ended_row(pipeline_name="support", status="error", success=False, error="E: no", span_count=2)
    start = trace.start_time
    agent = span_row(trace_id=trace.trace_id, start_time=start, span_name="agent:trainer", duration_ms=1500.0)
    model = span_row(
        trace_id=trace.trace_id, start_time=start + 12_000, span_name="llm:claude", parent_span_id=agent.span_id,
        status="error", success=False, error="RateLimited: 429", output_data='{"said": "much"}',
        attributes='{"gen_ai.request.model": "claude-sonnet-4-5"}',
    )  # fmt: skip
    await sink.write([decoded(trace, agent, model)])
    by_tap = await asks(admin, f"/trace_{hexadecimal(trace)}")
    assert "❌ support error" in by_tap.text
    assert "└ agent:trainer 1.50 s +0.0 ms\n" in by_tap.text
    assert "  └ llm:claude 1.5 ms +12.0 ms error claude-sonnet-4-5 RateLimited: 429" in by_tap.text
    assert {entity["type"] for entity in by_tap.entities} >= {"pre", "code"}
    assert (await asks(admin, f"/trace {trace.trace_id}")).text == by_tap.text
    assert "hello" not in by_tap.text

    await admin.presses("Inputs and outputs", on=by_tap)
    with_payloads = await admin.hears("in  {'text': 'hello'}", after=by_tap.message_id)
    assert "out {'said': 'much'}" in with_payloads.text
    assert (await asks(admin, f"/trace {hexadecimal(trace)} io")).text == with_payloads.text


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("", "the id of a trace"), ("nonsense", "nonsense is not the id of a trace"),
        ("019b76da-a800-7000-8000-000000000001", "is not stored: /lag"),
        ("019b76da-a800-7000-8000-000000000001 yes", "the id of a trace, and perhaps io"),
    ],
)  # fmt: skip
async def test_a_trace_that_is_not_there(admin: Person, words, says):
    assert says in (await asks(admin, f"/trace {words}")).text


async def test_spans_of_a_trace_that_has_not_arrived_are_told(sink: PostgresSink, admin: Person):
    span = span_row()
    await sink.write([decoded(span)])
    assert "but 1 span of it" in (await asks(admin, f"/trace {span.trace_id}")).text


@pytest.mark.parametrize(("spans", "parts"), [(60, 2), (120, 3)])
async def test_a_long_tree_is_several_messages(sink: PostgresSink, admin: Person, spans, parts):
    trace = ended_row(span_count=spans)
    rows = [
        span_row(
            trace_id=trace.trace_id, start_time=trace.start_time + number, span_name=f"<step & {number}>.{'x' * 50}"
        )
        for number in range(spans)
    ]
    await sink.write([decoded(trace, *rows)])
    said = await admin.says(f"/trace {trace.trace_id}")
    await admin.hears(f"<step & {spans - 1}>.", after=said)
    answers = [message for message in admin.chat if message.message_id > said]
    assert len(answers) == parts
    text = "\n".join(answer.text for answer in answers)
    assert [text.count(f"<step & {number}>.") for number in range(spans)] == [1] * spans
    assert [answer.buttons for answer in answers] == [[]] * (parts - 1) + [["Inputs and outputs"]]


async def test_a_very_long_tree_is_a_file(sink: PostgresSink, admin: Person):
    trace = ended_row(span_count=400, pipeline_name="support")
    names = [f"step {number}. {'😀' * 40}" for number in range(400)]
    rows = [
        span_row(trace_id=trace.trace_id, start_time=trace.start_time + number, span_name=name)
        for number, name in enumerate(names)
    ]
    await sink.write([decoded(trace, *rows)])
    answer = await asks(admin, f"/trace {trace.trace_id}")
    assert answer.document is not None
    assert answer.document.name == f"trace-{trace.trace_id}.txt"
    assert "support" in answer.text
    content = answer.document.content.decode()
    assert all(name in content for name in names)


async def test_what_a_trace_says_is_text_whatever_it_is(sink: PostgresSink, admin: Person):
    trace = ended_row(pipeline_name=HOSTILE, status="error", success=False, error=HOSTILE, span_count=1)
    span = span_row(
        trace_id=trace.trace_id, start_time=trace.start_time, span_name=HOSTILE, error=HOSTILE, status="error",
        success=False, input_data=json.dumps(HOSTILE), attributes=json.dumps({"gen_ai.request.model": HOSTILE}),
    )  # fmt: skip
    await sink.write([decoded(trace, span)])
    shown = "<b>&amp; /dlq @ada \\x1b[31m\\u202eevil</b></pre></code>"
    for command in ("/traces", f"/trace {trace.trace_id} io", "/failed", "/slow"):
        answer = await asks(admin, command)
        assert shown in answer.text or command == "/slow"
        assert "\x1b" not in answer.text
        assert "\u202e" not in answer.text
        assert {entity["type"] for entity in answer.entities} <= {"bold", "code", "pre"}


@pytest.mark.parametrize("nobody", ["42", -1001, 0])
async def test_admins_are_numbers_of_people(nobody):
    with pytest.raises(ValueError, match=f"numbers such as 42, not {nobody!r}"):
        admin_router(admins=[nobody])


async def test_a_dispatcher_that_is_started_by_hand_starts():
    """As behind a webhook of one's own: with nothing that the start could be told."""
    dispatcher = Dispatcher()
    dispatcher.include_router(admin_router(admins=ADMINS))
    await dispatcher.emit_startup()


async def test_commands_that_the_bot_would_take_itself_are_warned_of(
    telegram: TelegramStandIn, telegram_bot: Bot, site: Site, caplog: pytest.LogCaptureFixture
):
    """aiogram asks the dispatcher's own handlers before any router."""
    dispatcher = Dispatcher()
    dispatcher.include_router(admin_router(admins=ADMINS))

    @dispatcher.message()
    async def anything(message: Message) -> None: ...

    async with polling(dispatcher, telegram_bot):
        await eventually(lambda: "handlers of the dispatcher itself come before the admin commands" in caplog.text)


async def test_a_long_trace_is_cut_and_says_so(sink: PostgresSink, admin: Person, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(trace, "MOST_SPANS", 5)
    stored = ended_row(span_count=8)
    steps = [span_row(trace_id=stored.trace_id, start_time=stored.start_time + n, span_name=f"s{n}") for n in range(8)]
    await sink.write([decoded(stored, *steps)])
    answer = await asks(admin, f"/trace {stored.trace_id}", "These are the first 5 spans")
    assert ("s4" in answer.text, "s5" in answer.text) == (True, False)


async def test_secrets_that_a_producer_did_not_hide_are_not_shown(sink: PostgresSink, admin: Person):
    secret = "sk-ant-api03-" + "x" * 40
    stored = ended_row(status="error", success=False, error=f"AuthError: api_key={secret}", span_count=1)
    step = span_row(
        trace_id=stored.trace_id, start_time=stored.start_time, span_name="llm", input_data=json.dumps({"key": secret})
    )
    await sink.write([decoded(stored, step)])
    for asked in ("/traces", "/failed", f"/trace {stored.trace_id} io"):
        answer = await asks(admin, asked, "AuthError")
        assert secret not in answer.text

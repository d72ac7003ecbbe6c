"""Fault 23: in the middle of the work Redis asks for a password, forbids a command, or holds something else there."""

from collections.abc import Awaitable, Callable

import pytest

from tests.fixtures.oracle import Site
from tests.fixtures.polling import eventually
from tracequeue.keys import events_key

Step = Callable[[Site], Awaitable[object]]


async def ask_for_a_password(site: Site) -> None:
    await site.redis.config_set("requirepass", "hush")
    await site.redis.execute_command("AUTH", "hush")
    await site.redis.client_kill_filter(_type="normal", skipme=True)


async def ask_for_none(site: Site) -> None:
    await site.redis.config_set("requirepass", "")


async def forbid_reading(site: Site) -> None:
    await site.redis.execute_command("ACL", "SETUSER", "default", "-xreadgroup")


async def forbid_settling(site: Site) -> None:
    await site.redis.execute_command("ACL", "SETUSER", "default", "-evalsha")


async def allow_all(site: Site) -> None:
    await site.redis.execute_command("ACL", "SETUSER", "default", "+@all")


async def put_something_else_there(site: Site) -> None:
    key = events_key(site.prefix, 0)
    await site.redis.eval("redis.call('RENAME', KEYS[1], KEYS[2]) redis.call('SET', KEYS[1], '')", 2, key, key + ":off")


async def put_the_stream_back(site: Site) -> None:
    key = events_key(site.prefix, 0)
    await site.redis.rename(key + ":off", key)


@pytest.mark.parametrize(
    ("refuse", "cure", "said"),
    [
        (ask_for_a_password, ask_for_none, "check the user and the password in TRACEQUEUE_REDIS_URL"),
        (forbid_reading, allow_all, "docs/security.md"),
        (forbid_settling, allow_all, "docs/security.md"),
        (put_something_else_there, put_the_stream_back, "TRACEQUEUE_PREFIX"),
    ],
)
@pytest.mark.usefixtures("soon_cured")
async def test_refused_it_is_held_said_and_goes_on_after_the_cure(
    own_site: Site, caplog: pytest.LogCaptureFixture, refuse: Step, cure: Step, said: str
) -> None:
    bot = own_site.bot()
    async with own_site.working() as report:
        bot.burst(10)
        await eventually(lambda: report.frames)
        await eventually(own_site.settled)
        await refuse(own_site)
        bot.burst(10)
        await eventually(lambda: held(caplog, said))
        await cure(own_site)
        await bot.stop()
        await eventually(lambda: report.events == bot.journal.events)
        await eventually(own_site.settled)
    await own_site.assert_account_closes(bot)


def held(caplog: pytest.LogCaptureFixture, said: str) -> bool:
    return any(
        record.message.startswith("held: ") and said.lower() in record.message.lower() for record in caplog.records
    )

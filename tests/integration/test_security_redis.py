"""The shipped users of Redis: each can do all of its work, and nothing else."""

import re
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, NoPermissionError, ResponseError

from tests.fixtures.access import REDIS_USERS, ROLES, PostgresAccess, RedisAccess, give_access, shipped_users
from tests.fixtures.command import Command
from tests.fixtures.frames import frame, span
from tests.fixtures.oracle import Site
from tests.fixtures.polling import eventually
from tests.fixtures.servers import free_port
from tracequeue.keys import dead_key, events_key, receipts_key
from tracequeue_worker.alerts.shared import memory_key
from tracequeue_worker.classify import classify
from tracequeue_worker.embedded.folder import owned
from tracequeue_worker.embedded.redis import run_redis
from tracequeue_worker.errors import Fatal

ROOT = Path(__file__).parents[2]
CONNECTING = {"hello", "auth", "ping", "select", "evalsha", "script|load"}
"""What the client library sends by itself."""

REFUSED_TO_THE_EMITTER = """
XREAD STREAMS EVENTS 0; XRANGE EVENTS - +; XREVRANGE EVENTS + -; XLEN EVENTS; XINFO STREAM EVENTS
XPENDING EVENTS persist; XREADGROUP GROUP persist me STREAMS EVENTS >; XGROUP CREATE EVENTS mine 0
XGROUP DESTROY EVENTS persist; XGROUP SETID EVENTS persist $; XACK EVENTS persist 1-1
XAUTOCLAIM EVENTS persist me 0 0; XCLAIM EVENTS persist me 0 1-1; XDEL EVENTS 1-1; XTRIM EVENTS MAXLEN 0
XSETID EVENTS 1-1; DEL EVENTS; UNLINK EVENTS; RENAME EVENTS OTHER; DUMP EVENTS; COPY EVENTS OTHER; EXPIRE EVENTS 1
TYPE EVENTS; GETRANGE EVENTS 0 -1; XADD DEAD * a b; XRANGE DEAD - +; GETRANGE DEAD 0 -1; XADD RECEIPTS * a b
SET RECEIPTS x; SETBIT RECEIPTS 1 1; DEL RECEIPTS; XADD OTHER * a b; GETRANGE OTHER 0 -1; GET OTHER; KEYS *; SCAN 0
RANDOMKEY; DBSIZE; FLUSHALL; FLUSHDB; CONFIG GET *; CONFIG SET maxmemory 1; ACL LIST; ACL SETUSER me +@all
CLIENT LIST; CLIENT KILL ID 1; MONITOR; INFO; SCRIPT FLUSH; EVAL return(1) 0; SHUTDOWN NOSAVE; REPLICAOF NO ONE; SAVE
PUBLISH a b; SUBSCRIBE a; DEBUG SLEEP 0
"""
REFUSED_TO_THE_READER = """
XADD EVENTS * a b; XADD DEAD * a b; XTRIM EVENTS MAXLEN 0; XDEL EVENTS 1-1; XDEL DEAD 1-1; DEL EVENTS; DEL DEAD
XACK EVENTS persist 1-1; XGROUP CREATE EVENTS mine 0; XGROUP DESTROY EVENTS persist; XCLAIM EVENTS persist me 0 1-1
XREADGROUP GROUP persist me STREAMS EVENTS >; EXPIRE EVENTS 1; SETBIT RECEIPTS 1 1; GET OTHER; XRANGE OTHER - +
FLUSHALL; CONFIG SET maxmemory 1; SCRIPT FLUSH; KEYS *; MONITOR
"""
REFUSED_TO_THE_WORKER = """
DEL EVENTS; DEL DEAD; RENAME EVENTS OTHER; XGROUP DESTROY EVENTS persist; XGROUP SETID EVENTS persist $
XADD OTHER * a b; GET OTHER; KEYS *; SCAN 0; FLUSHALL; CONFIG SET maxmemory 1; ACL LIST; CLIENT KILL ID 1; MONITOR
SCRIPT FLUSH; SHUTDOWN NOSAVE; REPLICAOF NO ONE; DEBUG SLEEP 0
"""
REFUSED_TO_THE_ADMIN_BOT = """
XTRIM EVENTS MAXLEN 0; DEL EVENTS; DEL DEAD; DEL ALERTS; XACK EVENTS persist 1-1; XGROUP CREATE EVENTS mine 0
XGROUP DESTROY EVENTS persist; XCLAIM EVENTS persist me 0 1-1; XREADGROUP GROUP persist me STREAMS EVENTS >
SETBIT RECEIPTS 1 1; EXPIRE EVENTS 1; GET OTHER; XRANGE OTHER - +; HSET OTHER a b; FLUSHALL; CONFIG SET maxmemory 1
SCRIPT FLUSH; KEYS *; MONITOR
"""


async def allowed(url: str, prefix: str, commands: str) -> list[str]:
    """Those of the commands that are not refused for want of rights."""
    keys = {
        "EVENTS": events_key(prefix, 0),
        "DEAD": dead_key(prefix, 0),
        "RECEIPTS": receipts_key(prefix, 0, "a" * 32),
        "ALERTS": memory_key(prefix, 42),
    }
    done = []
    async with Redis.from_url(url) as client:
        for command in commands.strip().replace("\n", ";").split(";"):
            try:
                await client.execute_command(*(keys.get(word, word) for word in command.split()))
            except NoPermissionError:
                continue
            except ResponseError as error:
                done.append(f"{command}: {error}")
            else:
                done.append(command)
    return done


@pytest.mark.parametrize(
    ("role", "commands"),
    [
        ("emitter", REFUSED_TO_THE_EMITTER),
        ("worker", REFUSED_TO_THE_WORKER),
        ("reader", REFUSED_TO_THE_READER),
        ("admin_bot", REFUSED_TO_THE_ADMIN_BOT),
    ],
    ids=ROLES,
)
async def test_each_can_do_nothing_but_its_work(access: RedisAccess, prefix: str, role: str, commands: str) -> None:
    assert await allowed(getattr(access, role), prefix, commands) == []


@pytest.mark.parametrize(
    ("role", "command"), [("reader", "'XADD', KEYS[1], '*', 'a', 'b'"), ("worker", "'DEL', KEYS[1]")]
)
async def test_a_script_has_the_rights_of_who_runs_it(
    access: RedisAccess, redis_client: Redis, prefix: str, role: str, command: str
) -> None:
    """Redis says it in other words than outside of scripts; it needs a person all the same."""
    key = events_key(prefix, 0)
    await redis_client.xadd(key, frame(span()))
    async with Redis.from_url(getattr(access, role)) as client:
        script = client.register_script(f"return redis.call({command})")
        with pytest.raises(ResponseError) as refusal:
            await script(keys=[key])
        assert classify(refusal.value) is Fatal
        caught = client.register_script(f"return redis.pcall({command}).err")
        assert classify(ResponseError((await caught(keys=[key])).decode())) is Fatal
    assert await redis_client.xlen(key) == 1


async def test_the_whole_way_with_the_rights_of_each(site: Site, access: RedisAccess, logins: PostgresAccess) -> None:
    """Emitting, receipts, a bad record, a worker that died, and what looks: nothing is refused."""
    bot = site.bot(access.emitter)
    bot.burst(20)
    await site.redis.xadd(events_key(site.prefix, 0), frame(span(), b"no event", src="a" * 32))
    await read_and_die(site)
    async with site.working(redis_url=access.worker, database_url=logins.worker):
        assert await bot.collector.persisted(60)
        await eventually(site.settled)
    await bot.stop()
    await site.drain(redis_url=access.worker, database_url=logins.worker)
    assert len(await site.dead_letters()) == 1
    assert await access.refusals() == []


async def read_and_die(site: Site) -> None:
    """A worker that takes two frames and is never seen again."""
    key = events_key(site.prefix, 0)
    await site.redis.xgroup_create(key, "persist", id="0", mkstream=True)
    await site.redis.xreadgroup("persist", "dead-worker", {key: ">"}, count=2)


async def test_looking_with_the_rights_of_the_reader(
    site: Site, access: RedisAccess, logins: PostgresAccess, command: Command
) -> None:
    bot = site.bot()
    trace_id = bot.trace()
    await bot.stop()
    await site.redis.xadd(events_key(site.prefix, 0), {"body": "no event"})
    await site.drain()
    await site.redis.xadd(events_key(site.prefix, 0), frame(span()))
    await site.redis.xdel(
        events_key(site.prefix, 0), (await site.redis.xrevrange(events_key(site.prefix, 0), count=1))[0][0]
    )
    urls = {"TRACEQUEUE_REDIS_URL": access.reader, "TRACEQUEUE_DATABASE_URL": logins.reader}
    ((letter_id, _),) = await site.redis.xrange(dead_key(site.prefix, 0))
    show = ["dlq", "show", letter_id.decode()]
    for arguments in (["status"], ["audit"], ["traces"], ["trace", str(trace_id)], ["dlq", "list"], show):
        answer = command(*arguments, "--json", **urls)
        assert answer.code == 0, answer
        assert answer.document
    assert command("dlq", "export", "-", **urls).out.count("\n") == 1
    assert await access.refusals() == []


@pytest.mark.parametrize("source", ["--stream", "--dead"])
async def test_a_replay_may_only_read_redis_and_writes_with_the_rights_of_the_worker(
    site: Site, access: RedisAccess, logins: PostgresAccess, command: Command, source: str
) -> None:
    """That it writes nothing to Redis is true because it may not."""
    await site.redis.xadd(events_key(site.prefix, 0), frame(span(), span(), src="a" * 32))
    await site.drain(past_limit="2999-01-01")
    urls = {"TRACEQUEUE_REDIS_URL": access.reader, "TRACEQUEUE_DATABASE_URL": logins.worker}
    for arguments in ([], ["--dry-run"], ["--telegram-id", "1"]):
        answer = command("replay", source, *arguments, "--json", **urls)
        assert (answer.document["finished"], answer.document["gaps"]) == (True, []), answer
    assert len(await site.fetch("SELECT 1 FROM pipeline_spans")) == 2
    assert await access.refusals() == []


async def test_dead_letters_are_retried_and_dropped_with_the_rights_of_the_worker(
    site: Site, access: RedisAccess, logins: PostgresAccess, command: Command
) -> None:
    await site.redis.xadd(events_key(site.prefix, 0), frame(span(), b"no event"))
    await site.drain()
    urls = {"TRACEQUEUE_REDIS_URL": access.worker, "TRACEQUEUE_DATABASE_URL": logins.worker}
    assert command("dlq", "retry", "--all", **urls).code == 0
    assert command("worker", "--drain", **urls).code == 0
    assert command("dlq", "drop", "--all", "--yes", **urls).code == 0
    assert await site.dead_letters() == []
    assert await access.refusals() == []


@pytest.mark.parametrize(("role", "source"), [("emitter", "emitter"), ("worker", "worker"), ("reader", "worker")])
def test_no_right_is_given_that_nothing_uses(role: str, source: str) -> None:
    """That none is missing is what the tests above show."""
    given = {rule.removeprefix("+") for rule in shipped_users()[role] if rule.startswith("+")} - CONNECTING
    files = [file for pattern in ("*.py", "*.lua") for file in (ROOT / source).rglob(pattern)]
    code = "\n".join(file.read_text() for file in files)
    assert {command for command in given if not is_used(command, code)} == set()


def is_used(command: str, code: str) -> bool:
    """In a script as `call('XINFO', 'GROUPS', …)`, in Python as `.xinfo_groups(…)`."""
    in_a_script = ", ".join(f"'{word.upper()}'" for word in command.split("|"))
    return bool(re.search(rf"call\({in_a_script}|\.{command.replace('|', '_')}\(", code))


async def test_the_file_loads_with_a_server_and_nobody_gets_in_without_a_password(
    redis_client: Redis, tmp_path: Path
) -> None:
    binary, acl, port = Path((await redis_client.info("server"))["executable"]), tmp_path / "users.acl", free_port()
    acl.write_text(REDIS_USERS.read_text() + "user admin on ~* &* +@all >secret\n")
    options = ("--bind", "127.0.0.1", "--port", str(port), "--save", "", "--aclfile", str(acl))
    url = f"redis://admin:secret@127.0.0.1:{port}/0"
    with owned(tmp_path / "redis") as folder, run_redis(binary, folder, url, options):
        async with Redis.from_url(f"redis://127.0.0.1:{port}") as client:
            with pytest.raises(AuthenticationError):
                await client.ping()
        for role in ROLES:
            for password in ("", "x"):
                async with Redis.from_url(f"redis://tracequeue_{role}:{password}@127.0.0.1:{port}") as client:
                    with pytest.raises(AuthenticationError):
                        await client.ping()
        async with Redis.from_url(url) as admin:
            await admin.execute_command("ACL", "SETUSER", "tracequeue_emitter", ">its-own")
            await admin.execute_command("ACL", "SAVE")
            await admin.execute_command("ACL", "LOAD")
        async with Redis.from_url(f"redis://tracequeue_emitter:its-own@127.0.0.1:{port}") as client:
            assert await client.xadd("{tracequeue:7}:events", frame(span()))
            with pytest.raises(NoPermissionError):
                await client.xadd("{other:7}:events", frame(span()))


async def test_the_form_for_redis_6(redis_client: Redis, redis_url: str, prefix: str) -> None:
    """Redis 6.2 knows no rights to read or write a key only: docs/security.md says how to leave them out."""
    text = re.sub("%R~|%W~", "~", REDIS_USERS.read_text())
    access = await give_access(redis_client, redis_url, prefix, shipped_users(text))
    async with Redis.from_url(access.emitter) as client:
        assert await client.xadd(events_key(prefix, 0), frame(span()))
        assert await client.getrange(receipts_key(prefix, 0, "x"), 0, -1) == b""
        with pytest.raises(NoPermissionError):
            await client.xadd(dead_key(prefix, 0), {"a": "b"})
    for role in ROLES:
        await redis_client.execute_command("ACL", "DELUSER", f"{prefix}_{role}")

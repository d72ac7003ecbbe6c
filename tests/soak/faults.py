"""The faults of a soak, by what they attack. Each does its harm, and puts right what does not right itself."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from operator import attrgetter
from random import Random

from tests.fixtures.own_servers import OwnServer
from tests.fixtures.proxy import Proxy
from tests.soak.bot import REFUSED
from tests.soak.deployment import CLAIM_SECONDS, Deployment
from tracequeue.keys import events_key

Fault = Callable[[Deployment, Random], Awaitable[None]]

TRAP_SECONDS = 10.0
"""How long to wait for the words at which a reply is lost."""
LATE_SECONDS = 0.05
REFUSING = f"ALTER TABLE pipeline_spans ADD CONSTRAINT soak CHECK (span_name <> '{REFUSED}') NOT VALID"


async def for_a_while(chance: Random) -> None:
    await asyncio.sleep(chance.uniform(1, 4))


def frozen(server: Callable[[Deployment], OwnServer]) -> Fault:
    async def fault(site: Deployment, chance: Random) -> None:
        await asyncio.to_thread(server(site).freeze)
        try:
            await for_a_while(chance)
        finally:
            server(site).thaw()

    return fault


def down(server: Callable[[Deployment], OwnServer], how: Callable[[OwnServer], None]) -> Fault:
    async def fault(site: Deployment, chance: Random) -> None:
        await asyncio.to_thread(how, server(site))
        try:
            await for_a_while(chance)
        finally:
            await asyncio.to_thread(server(site).start)

    return fault


def on_the_way(
    proxy: Callable[[Deployment], Proxy], harm: Callable[[Proxy], None], cure: Callable[[Proxy], None]
) -> Fault:
    async def fault(site: Deployment, chance: Random) -> None:
        harm(proxy(site))
        try:
            await for_a_while(chance)
        finally:
            cure(proxy(site))

    return fault


def lost_reply(proxy: Callable[[Deployment], Proxy], words: bytes) -> Fault:
    async def fault(site: Deployment, _: Random) -> None:
        lost = proxy(site).lose_reply_to(words)
        with suppress(TimeoutError):
            async with asyncio.timeout(TRAP_SECONDS):
                await lost.wait()

    return fault


async def paused(site: Deployment, chance: Random) -> None:
    async with site.client() as client:
        await client.execute_command(
            "CLIENT", "PAUSE", round(chance.uniform(500, 3_000)), chance.choice(["ALL", "WRITE"])
        )
        await client.delete("nothing")  # it is answered when the pause is over


async def clients_killed(site: Deployment, _: Random) -> None:
    async with site.client() as client:
        await client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


async def scripts_flushed(site: Deployment, _: Random) -> None:
    async with site.client() as client:
        await client.script_flush()


async def out_of_memory(site: Deployment, chance: Random) -> None:
    async with site.client() as client:
        await client.config_set("maxmemory", (await client.info("memory"))["used_memory"])
        try:
            await for_a_while(chance)
        finally:
            await client.config_set("maxmemory", 0)


async def foreign_entries(site: Deployment, chance: Random) -> None:
    async with site.client() as client:
        for _ in range(chance.randint(1, 5)):
            line = b"\xff" + os.urandom(200).replace(b"\n", b" ")
            await client.xadd(events_key("tracequeue", 0), {"body": line})
            site.foreign += 1


async def backends_terminated(site: Deployment, _: Random) -> None:
    async with site.connected() as connection:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )


async def tables_locked(site: Deployment, chance: Random) -> None:
    table = chance.choice(["pipeline_spans", "pipeline_traces", "pipeline_frames", "pipeline_emitters"])
    async with site.connected() as connection, connection.transaction():
        await connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        await for_a_while(chance)


async def read_only(site: Deployment, chance: Random) -> None:
    async with site.connected() as connection:
        await connection.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        await connection.execute("SELECT pg_reload_conf()")
        try:
            await for_a_while(chance)
        finally:
            await connection.execute("ALTER SYSTEM RESET default_transaction_read_only")
            await connection.execute("SELECT pg_reload_conf()")


async def refusals_and_a_retry(site: Deployment, chance: Random) -> None:
    """Rows of one name become dead letters; once the constraint is gone, they are sent again."""
    async with site.connected() as connection:
        await connection.execute(REFUSING)
        try:
            await for_a_while(chance)
        finally:
            await connection.execute("ALTER TABLE pipeline_spans DROP CONSTRAINT soak")
    await site.command("dlq", "retry", "--all")


async def worker_killed(site: Deployment, chance: Random) -> None:
    worker = chance.choice(site.workers)
    worker.signal(signal.SIGKILL)
    await worker.ended()
    await site.start_worker(worker)


async def all_workers_killed(site: Deployment, chance: Random) -> None:
    for worker in site.workers:
        worker.signal(signal.SIGKILL)
    for worker in site.workers:
        await worker.ended()
    await for_a_while(chance)
    for worker in site.workers:
        await site.start_worker(worker)


async def worker_restarted(site: Deployment, chance: Random) -> None:
    worker = chance.choice(site.workers)
    await site.stop(worker)
    await site.start_worker(worker)


async def worker_frozen(site: Deployment, chance: Random) -> None:
    worker = chance.choice(site.workers)
    worker.signal(signal.SIGSTOP)
    try:
        await asyncio.sleep(CLAIM_SECONDS + chance.uniform(0, 3))
    finally:
        worker.signal(signal.SIGCONT)


async def bot_restarted(site: Deployment, chance: Random) -> None:
    bot = chance.choice(site.bots)
    await site.stop(bot)
    await site.start_bot(bot)


async def bot_killed(site: Deployment, chance: Random) -> None:
    bot = chance.choice(site.bots)
    bot.signal(signal.SIGUSR1)
    await bot.ended()
    await site.start_bot(bot)


async def bot_frozen(site: Deployment, chance: Random) -> None:
    bot = chance.choice(site.bots)
    bot.signal(signal.SIGSTOP)
    try:
        await for_a_while(chance)
    finally:
        bot.signal(signal.SIGCONT)


def _network(name: str, proxy: Callable[[Deployment], Proxy]) -> dict[str, Fault]:
    return {
        f"connections to {name} cut": on_the_way(proxy, Proxy.cut, Proxy.cut),
        f"black hole before {name}": on_the_way(proxy, Proxy.freeze, Proxy.thaw),
        f"connections to {name} reset": on_the_way(proxy, Proxy.refuse, Proxy.accept),
        f"every packet to {name} late": on_the_way(
            proxy, lambda one: one.delay(LATE_SECONDS), lambda one: one.delay(0)
        ),
    }


_redis: Callable[[Deployment], OwnServer] = attrgetter("redis_server")
_postgres: Callable[[Deployment], OwnServer] = attrgetter("postgres_server")
_redis_proxy: Callable[[Deployment], Proxy] = attrgetter("redis_proxy")
_postgres_proxy: Callable[[Deployment], Proxy] = attrgetter("postgres_proxy")

FAULTS: Mapping[str, Mapping[str, Fault]] = {
    "redis": {
        "Redis frozen": frozen(_redis),
        "Redis stopped and started": down(_redis, OwnServer.stop),
        "Redis killed and started": down(_redis, OwnServer.kill),
        **_network("Redis", _redis_proxy),
        "reply to XADD lost": lost_reply(_redis_proxy, b"XADD"),
        "reply to XREADGROUP lost": lost_reply(_redis_proxy, b"XREADGROUP"),
        "reply to the settling lost": lost_reply(_redis_proxy, b"EVALSHA"),
        "CLIENT PAUSE": paused,
        "CLIENT KILL": clients_killed,
        "SCRIPT FLUSH": scripts_flushed,
        "maxmemory reached": out_of_memory,
        "entries that are no frames": foreign_entries,
    },
    "postgres": {
        "Postgres frozen": frozen(_postgres),
        "Postgres stopped and started": down(_postgres, OwnServer.stop),
        "Postgres killed and started": down(_postgres, OwnServer.kill),
        **_network("Postgres", _postgres_proxy),
        "reply to COMMIT lost": lost_reply(_postgres_proxy, b"COMMIT"),
        "backends terminated": backends_terminated,
        "a table locked": tables_locked,
        "Postgres read-only": read_only,
        "rows refused, their dead letters retried": refusals_and_a_retry,
    },
    "processes": {
        "worker killed": worker_killed,
        "all workers killed": all_workers_killed,
        "worker restarted": worker_restarted,
        "worker frozen past the claim time": worker_frozen,
        "bot restarted": bot_restarted,
        "bot killed": bot_killed,
        "bot frozen": bot_frozen,
    },
}

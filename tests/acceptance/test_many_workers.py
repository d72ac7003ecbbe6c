"""Four workers, killed and stopped at random moments while a bot emits: the account closes, each row is there once."""

import asyncio
import json
import random
import signal
import subprocess
from uuid import UUID

import asyncpg
import redis

from tests.fixtures.command import Command
from tests.fixtures.polling import eventually
from tracequeue import EmitterSettings, TraceCollector, TraceContext, span
from tracequeue import collector as process
from tracequeue.keys import dead_key, events_key

KILLS = 5
LINGER_MS = 5

Worker = subprocess.Popen[str]


class Herd:
    """Worker processes by consumer name; every start is a new name, as `docker compose up --scale` gives."""

    def __init__(self, command: Command) -> None:
        self._command = command
        self.living: dict[str, Worker] = {}
        self._started = 0

    def start(self) -> None:
        self._started += 1
        name = f"w{self._started}"
        self.living[name] = self._command.start("worker", "--json", "--consumer", name)

    def take(self, name: str) -> Worker:
        return self.living.pop(name)

    def end(self) -> None:
        for worker in self.living.values():
            worker.kill()
            worker.communicate()


class Bot:
    """Emits traces of three spans until told to stop, and keeps a journal of what it handed over."""

    def __init__(self, redis_url: str, prefix: str) -> None:
        self.collector = TraceCollector(EmitterSettings(redis_url=redis_url, prefix=prefix, linger_ms=LINGER_MS))
        self.traces: set[UUID] = set()
        self.enough = asyncio.Event()

    async def run(self) -> None:
        while not self.enough.is_set():
            async with TraceContext("support", telegram_id=len(self.traces)) as trace:
                self.traces.add(trace.trace_id)
                for number in range(3):
                    with span(f"step:{number}") as step:
                        step.set_output({"number": number})
            await asyncio.sleep(0.001)


async def test_kills_and_stops_while_frames_flow(
    command: Command, redis_url: str, prefix: str, migrated_database_url: str
) -> None:
    herd, bot, client = Herd(command), Bot(redis_url, prefix), redis.Redis.from_url(redis_url)
    before = process.get_collector()
    process.use(bot.collector)
    emitting = asyncio.create_task(bot.run())
    try:
        for _ in range(4):
            herd.start()
        killed_with_frames = 0
        for _ in range(KILLS):
            killed_with_frames += await kill_one_with_frames(client, prefix, herd)
            herd.start()
        await leaves_the_group_when_asked(client, prefix, herd)
        bot.enough.set()
        await emitting
        stats = await bot.collector.stop(30)
        client.xadd(events_key(prefix, 0), {"body": "the last one is nonsense"})
        await eventually(lambda: is_settled(client, prefix))
        for name in list(herd.living):
            await asyncio.to_thread(stop, herd.take(name))
    finally:
        emitting.cancel()
        herd.end()
        process.use(before)
    assert stats.complete
    assert (client.xlen(dead_key(prefix, 0)), killed_with_frames > 0) == (1, True)
    client.close()
    await assert_every_row_is_there_once(migrated_database_url, bot.traces)
    (account,) = [one for one in command("status", "--json").document["emitters"] if one["emitter_id"]]
    assert account["emitted"] == stats.emitted == 5 * len(bot.traces)
    assert account["persisted"] + account["dead"] + sum(account["lost"].values()) == stats.emitted


async def kill_one_with_frames(client: redis.Redis, prefix: str, herd: Herd) -> bool:
    """SIGKILL a worker that is frozen first, and whether it really held frames then."""
    while True:
        name = random.choice(await eventually(lambda: holders(client, prefix, herd)))
        herd.living[name].send_signal(signal.SIGSTOP)
        if pending_of(client, prefix, name):
            break
        herd.living[name].send_signal(signal.SIGCONT)
    killed = herd.take(name)
    killed.kill()
    killed.communicate()
    return bool(pending_of(client, prefix, name))


async def leaves_the_group_when_asked(client: redis.Redis, prefix: str, herd: Herd) -> None:
    """SIGTERM: it finishes what it holds, reports nothing unfinished, and takes its name out of the group."""
    name = random.choice(await eventually(lambda: holders(client, prefix, herd)))
    report = await asyncio.to_thread(stop, herd.take(name))
    assert report["unfinished"] == 0
    assert name not in {one["name"].decode() for one in client.xinfo_consumers(events_key(prefix, 0), "persist")}


def stop(worker: Worker) -> dict[str, int]:
    worker.send_signal(signal.SIGTERM)
    out, err = worker.communicate()
    assert worker.returncode == 0, err
    report: dict[str, int] = json.loads(out)
    return report


def holders(client: redis.Redis, prefix: str, herd: Herd) -> list[str]:
    """The living workers that have frames in their hands at this moment."""
    key = events_key(prefix, 0)
    if not client.exists(key) or not client.xinfo_groups(key):
        return []
    seen = {one["name"].decode(): one["pending"] for one in client.xinfo_consumers(key, "persist")}
    return [name for name in herd.living if seen.get(name)]


def pending_of(client: redis.Redis, prefix: str, name: str) -> int:
    consumers = client.xinfo_consumers(events_key(prefix, 0), "persist")
    return sum(one["pending"] for one in consumers if one["name"] == name.encode())


def is_settled(client: redis.Redis, prefix: str) -> bool:
    (group,) = client.xinfo_groups(events_key(prefix, 0))
    return (
        group["pending"] == 0 and group["entries-read"] == client.xinfo_stream(events_key(prefix, 0))["entries-added"]
    )


async def assert_every_row_is_there_once(database_url: str, traces: set[UUID]) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        stored = await connection.fetch("SELECT trace_id, span_count FROM pipeline_traces WHERE status = 'ok'")
        spans = await connection.fetch(
            "SELECT trace_id, array_agg(span_name ORDER BY span_name) AS names FROM pipeline_spans GROUP BY trace_id"
        )
    finally:
        await connection.close()
    assert sorted(row["trace_id"] for row in stored) == sorted(traces)
    assert {row["trace_id"] for row in spans} == traces
    assert all(row["names"] == ["step:0", "step:1", "step:2"] for row in spans)

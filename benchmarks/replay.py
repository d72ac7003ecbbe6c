"""How fast a replay fills an empty database, beside one live worker with the same frames: real commands and servers.

In turn: a worker drains the stream into one database, a replay reads it into another; then both are compared by
`tracequeue audit --digests`. At last a million spans, and a replay that is killed twice: is the database whole, and
how much memory did it take? `python -m benchmarks.replay SPANS` does only the last, with so many.
"""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from uuid import uuid4

import asyncpg
import orjson
from redis import Redis

from benchmarks import databases
from benchmarks.drain import FRAME
from benchmarks.workload import span
from tracequeue.frame import pack
from tracequeue.ids import new_trace_id
from tracequeue.keys import events_key
from tracequeue_worker.embedded import servers
from tracequeue_worker.settings import WorkerSettings

SPANS, ROUNDS, MANY, KILLS = 100_000, 3, 1_000_000, 2
SPANS_OF_A_TRACE = 10
LIVE, FRESH = "bench_live", "bench_fresh"
DONE = "SELECT coalesce(sum(done), 0) FROM pipeline_replay_parts"


@dataclass(slots=True)
class Cost:
    """What one command took, or several that did one thing together."""

    seconds: float = 0.0
    cpu: float = 0.0
    server_cpu: float = 0.0
    """Of the Postgres backends."""
    megabytes: float = 0.0
    """The largest that one of them ever was."""

    def add(self, other: "Cost") -> None:
        self.seconds += other.seconds
        self.cpu += other.cpu
        self.server_cpu += other.server_cpu
        self.megabytes = max(self.megabytes, other.megabytes)


@dataclass(frozen=True, slots=True)
class Bench:
    """A stream in a Redis, and two databases on a Postgres."""

    redis_url: str
    database_url: str
    prefix: str

    def start(self, *arguments: str, database: str) -> "subprocess.Popen[bytes]":
        own = {
            "TRACEQUEUE_REDIS_URL": self.redis_url,
            "TRACEQUEUE_DATABASE_URL": databases.named(self.database_url, database),
            "TRACEQUEUE_PREFIX": self.prefix,
        }
        machine = {name: value for name, value in os.environ.items() if not name.startswith("TRACEQUEUE_")}
        command = [sys.executable, "-m", "tracequeue_worker", *arguments]
        return subprocess.Popen(command, env=machine | own, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def run(self, *arguments: str, database: str, kill_at: int | None = None) -> tuple[Cost, bytes]:
        """Run a command to its end, or kill the replay that it is when so many frames are stored."""
        server_cpu, began = asyncio.run(databases.server_seconds(self.database_url)), time.perf_counter()
        process = self.start(*arguments, database=database)
        if kill_at is not None:
            asyncio.run(self._wait_for(kill_at, process.pid))
            process.send_signal(signal.SIGKILL)
        assert process.stdout
        out = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == (0 if kill_at is None else -signal.SIGKILL), (arguments, process.returncode, out)
        cost = Cost(time.perf_counter() - began, usage.ru_utime + usage.ru_stime, megabytes=usage.ru_maxrss / 1024)
        cost.server_cpu = asyncio.run(databases.server_seconds(self.database_url)) - server_cpu
        return cost, out

    async def _wait_for(self, frames: int, pid: int) -> None:
        connection = await asyncpg.connect(databases.named(self.database_url, FRESH))
        while await connection.fetchval(DONE) < frames:
            os.kill(pid, 0)
            await connection.execute("SELECT pg_sleep(0.1)")
        await connection.close()

    async def recreate(self) -> None:
        """Both databases anew, migrated, empty."""
        for name in (LIVE, FRESH):
            await databases.make(self.database_url, name)


def fill(redis: Redis, prefix: str, spans: int) -> int:
    """Frames as a bot would send them, ten spans a trace with its start and its end. Returns how many frames."""
    chance, emitter = random.Random(1), uuid4().hex
    lines: list[bytes] = []
    emitted = seq = 0
    for number in range(0, spans, SPANS_OF_A_TRACE):
        lines += trace(chance)
        if len(lines) >= FRAME or number + SPANS_OF_A_TRACE >= spans:
            seq += 1
            emitted += len(lines)
            account = orjson.dumps({"emitted": emitted})
            fields = pack(b"\n".join(lines), len(lines), emitter_id=emitter, seq=seq, account=account, meta=b"{}")
            redis.xadd(events_key(prefix, 0), fields)  # type: ignore[arg-type]
            lines = []
    return seq


def trace(chance: random.Random) -> Iterator[bytes]:
    """The lines of a trace."""
    trace_id = str(new_trace_id())
    spans = [span(chance, trace_id) for _ in range(SPANS_OF_A_TRACE)]
    begun = {"trace_id": trace_id, "pipeline_name": "support", "start_time": spans[0]["start_time"], "telegram_id": 42}
    ended = {"end_time": spans[-1]["end_time"], "duration_ms": 15.0, "status": "ok", "success": True}
    yield orjson.dumps(begun | {"type": "trace.started"})
    yield from map(orjson.dumps, spans)
    yield orjson.dumps(begun | ended | {"type": "trace.ended", "span_count": SPANS_OF_A_TRACE})


def measure(bench: Bench, spans: int, kills: int) -> tuple[Cost, Cost]:
    """One live worker, then a replay, both into an empty database, and the proof that these hold the same."""
    asyncio.run(bench.recreate())
    with Redis.from_url(bench.redis_url) as redis:
        redis.flushdb()
        frames = fill(redis, bench.prefix, spans)
    live, _ = bench.run("worker", "--drain", database=LIVE)
    fresh, report = Cost(), b""
    for number in range(kills + 1):
        kill_at = None if number == kills else frames * (number + 1) // (kills + 1)
        cost, report = bench.run("replay", "--json", database=FRESH, kill_at=kill_at)
        fresh.add(cost)
    document = json.loads(report)
    assert document["complete"]
    assert document["written"] == document["events"] == spans + 2 * (spans // SPANS_OF_A_TRACE), document
    found = [bench.run("audit", "--digests", database=name)[1] for name in (LIVE, FRESH)]
    assert found[0] == found[1], found
    return live, fresh


def print_line(what: str, spans: int, costs: list[Cost]) -> None:
    speed = median(spans / cost.seconds for cost in costs)
    cpu, server = (median(getattr(cost, name) / spans * 1e6 for cost in costs) for name in ("cpu", "server_cpu"))
    print(f"  {what:<22} {speed:8,.0f} spans/s   CPU a span {cpu:5.1f} us, of Postgres {server:5.1f} us", end="")
    print(f"   peak {costs[-1].megabytes:6.1f} MB")


def print_pairs(pairs: list[tuple[Cost, Cost]], spans: int, what: str) -> None:
    live, fresh = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    print_line("one live worker", spans, live)
    print_line(what, spans, fresh)
    ratios = [one.seconds / other.seconds for one, other in pairs]
    print(f"  replay / worker {median(ratios):.2f}, digests of both databases are equal")


@contextmanager
def bench() -> Iterator[Bench]:
    with tempfile.TemporaryDirectory() as folder, servers(WorkerSettings.load(), Path(folder)) as running:
        yield Bench(running.redis_url, running.database_url, "replay")


def main() -> None:
    number = sys.argv[1] if sys.argv[1:] else ""
    with bench() as made:
        if not number.isdecimal():
            print(f"{SPANS} spans in frames of {FRAME} and more, {ROUNDS} rounds in turn, medians")
            print_pairs([measure(made, SPANS, kills=0) for _ in range(ROUNDS)], SPANS, "replay")
        many = int(number) if number.isdecimal() else MANY
        print(f"{many} spans, and the replay killed {KILLS} times with SIGKILL")
        print_pairs([measure(made, many, kills=KILLS)], many, "replay, all its runs")


if __name__ == "__main__":
    main()

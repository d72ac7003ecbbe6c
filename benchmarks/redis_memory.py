"""What a span takes in Redis: in frames as the emitter sends them, beside one plain entry for each event."""

import random
import tempfile
from pathlib import Path

import orjson
from redis import Redis

from benchmarks.budgets import Figure
from benchmarks.drain import fill
from benchmarks.workload import span
from tracequeue.ids import new_trace_id
from tracequeue.keys import events_key
from tracequeue_worker.embedded.redis import embedded_redis

SPANS = 50_000


def plain(redis: Redis, key: str) -> None:
    chance, trace_id = random.Random(1), ""
    pipeline = redis.pipeline(transaction=False)
    for number in range(SPANS):
        if number % 10 == 0:
            trace_id = str(new_trace_id())
        pipeline.xadd(key, {"body": orjson.dumps(span(chance, trace_id))})
    pipeline.execute()


def bytes_a_span(redis: Redis, key: str) -> float:
    used = redis.execute_command("MEMORY", "USAGE", key, "SAMPLES", 0)
    assert isinstance(used, int)
    return used / SPANS


def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder, embedded_redis(Path(folder)) as url, Redis.from_url(url) as redis:
        fill(redis, "frames", SPANS)
        plain(redis, "plain")
        framed, single = bytes_a_span(redis, events_key("frames", 0)), bytes_a_span(redis, "plain")
    return [Figure("redis", [framed / single], f"{framed:.0f} against {single:.0f} bytes a span, frames of 256")]


if __name__ == "__main__":
    print(measure())

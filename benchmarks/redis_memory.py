"""What a span takes in Redis: in frames as the emitter sends them, beside one plain entry for each event.

The more spans share a frame, the less each takes: a quiet bot sends them one by one, a busy one by the hundreds.
"""

import random
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from statistics import median
from typing import Any, Final, cast

import orjson
from redis import Redis

from benchmarks.budgets import Figure
from benchmarks.workload import span
from tracequeue import EmitterSettings
from tracequeue.frame import pack
from tracequeue.ids import new_trace_id
from tracequeue.lane import Identity
from tracequeue_worker.embedded.redis import embedded_redis

ROUNDS, SPANS = 3, 12_800
COMPANY: Final = (1, 10, 50, 256)
"""Spans a frame: of a quiet bot, of one answer at once, at 1,000 spans a second, and as many as a chunk holds."""


def lines_of(seed: int) -> list[bytes]:
    """Ten spans a trace."""
    chance, traces = random.Random(seed), [str(new_trace_id()) for _ in range(SPANS // 10)]
    return [orjson.dumps(span(chance, trace_id)) for trace_id in traces for _ in range(10)]


def frames(lines: list[bytes], company: int) -> Iterator[Mapping[bytes, bytes]]:
    identity = Identity(EmitterSettings(service="bot", environment="production", release="2026.11"))
    for seq, first in enumerate(range(0, len(lines), company), start=1):
        some = lines[first : first + company]
        account = orjson.dumps({"emitted": first + len(some), "lost": {}, "spooled": 0})
        yield pack(
            b"\n".join(some), len(some), emitter_id=identity.emitter_id, seq=seq, account=account, meta=identity.meta
        )


def bytes_a_span(redis: Redis, entries: Iterable[Mapping[bytes, bytes]]) -> float:
    with redis.pipeline(transaction=False) as pipeline:
        for entry in entries:
            pipeline.xadd("stream", cast("dict[Any, Any]", entry))
        pipeline.execute()
    used = redis.execute_command("MEMORY", "USAGE", "stream", "SAMPLES", 0)
    redis.delete("stream")
    assert isinstance(used, int)
    return used / SPANS


def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder, embedded_redis(Path(folder)) as url, Redis.from_url(url) as redis:
        rounds = [lines_of(seed) for seed in range(ROUNDS)]
        plain = [bytes_a_span(redis, ({b"body": line} for line in lines)) for lines in rounds]
        framed = {company: [bytes_a_span(redis, frames(lines, company)) for lines in rounds] for company in COMPANY}
    print(f"a plain entry for each event: {median(plain):,.0f} bytes")
    for company, taken in framed.items():
        print(f"frames of {company:3}: {median(taken):,.0f} bytes a span")
    most = COMPANY[-1]
    ratios = [ours / theirs for ours, theirs in zip(framed[most], plain, strict=True)]
    detail = f"{median(framed[most]):.0f} against {median(plain):.0f} bytes a span, frames of {most}"
    return [Figure("redis", ratios, detail)]


if __name__ == "__main__":
    print(measure())

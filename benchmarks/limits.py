"""What no publisher can beat: plain XADD of frames that are made beforehand, each answered before the next is sent.

Other limits are measured beside what they limit: plain COPY in `drain`, `orjson.dumps` and two clocks in `hot_path`.
"""

import random
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from uuid import uuid4

import orjson
from redis import Redis

from benchmarks.budgets import Figure
from benchmarks.workload import span
from tracequeue.frame import pack
from tracequeue.ids import new_trace_id
from tracequeue_worker.embedded.redis import embedded_redis

FRAMES, SPANS, ROUNDS = 400, 256, 7

Fields = dict[bytes, bytes]


def frames() -> list[Fields]:
    """As a bot sends them, zstd."""
    chance, emitter, made = random.Random(1), uuid4().hex, []
    for seq in range(1, FRAMES + 1):
        body = b"\n".join(orjson.dumps(span(chance, str(new_trace_id()))) for _ in range(SPANS))
        made.append(pack(body, SPANS, emitter_id=emitter, seq=seq, account=b"{}", meta=b"{}"))
    return made


def server_seconds(redis: Redis) -> float:
    """Processor time that the server has taken."""
    used = redis.info("cpu")
    return float(used["used_cpu_user"] + used["used_cpu_sys"])


def round_of(redis: Redis, made: list[Fields]) -> tuple[float, float, float]:
    """Spans a second; microseconds a span of the sender's processor time and of the server's."""
    spans = len(made) * SPANS
    server, own, started = server_seconds(redis), process_time(), perf_counter()
    for fields in made:
        redis.xadd("plain", fields)  # type: ignore[arg-type]
    elapsed, own = perf_counter() - started, process_time() - own
    server = server_seconds(redis) - server
    redis.delete("plain")
    return spans / elapsed, own / spans * 1e6, server / spans * 1e6


def measure() -> list[Figure]:
    made = frames()
    with tempfile.TemporaryDirectory() as folder, embedded_redis(Path(folder)) as url, Redis.from_url(url) as redis:
        rounds = [round_of(redis, made) for _ in range(ROUNDS)]
    rates, sender, server = (list(column) for column in zip(*rounds, strict=True))
    detail = f"{median(sender):.2f} us of processor time a span, of Redis {median(server):.2f}"
    return [Figure("xadd", rates, f"frames of {SPANS}, zstd; {detail}")]


if __name__ == "__main__":
    print(measure())

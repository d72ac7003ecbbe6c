"""What `encode` costs beside bare `orjson.dumps`, and redaction per span: alternating rounds, medians, microseconds.

Run it by hand: `python benchmarks/encoder.py`. These numbers are for comparison within one run only.
"""

import random
from collections.abc import Callable, Sequence
from functools import partial
from statistics import median
from time import perf_counter_ns

import orjson

from tracequeue.encoding import Notes, encode, encode_bounded
from tracequeue.redaction import redact

ROUNDS = 15
LIMIT = 65_536
WORDS = ["the", "plan", "for", "tomorrow", "is", "a", "short", "run", "then", "rest", "and", "later", "we", "look"]
FLAT = {"text": "hello there, how are you doing today? " * 5, "user_id": 123_456_789, "retry": False}
VALUES = {
    "flat, 250 B": FLAT,
    "flat with None": {**FLAT, "options": None},
    "chat of 20 messages, 4 KB": [{"role": "user", "content": "how are you doing today? " * 7}] * 20,
    "text with NUL": "hello\0" * 50,
    "text of 10 MB": {"text": "x" * 10_000_000, "user_id": 1},
    "list of a million": [list(range(1_000_000))],
}


def main() -> None:
    for name, value in VALUES.items():
        ways = [partial(orjson.dumps, value), partial(encode, value, LIMIT, "input_data", {})]
        calls = 3 if len(orjson.dumps(value)) > LIMIT else 2_000
        bare, ours = compare(ways, calls)
        print(f"{name:28} orjson {bare:10.3f}   encode {ours:10.3f}   x{ours / bare:.2f}")
    notes: Notes = {}
    (walk,) = compare([lambda: encode_bounded(FLAT, LIMIT, "input_data", notes)], 1_000)
    print(f"{'flat, bounded walk':28} {walk:10.3f}")
    body = frame(256)
    (prefilter,) = compare([lambda: redact(body)], 3)
    print(f"redaction, nothing to hide, {len(body) // 256} B a span: {prefilter / 256:.3f} a span")
    secret = body.replace(b'"user_id"', b'"password"')
    assert b"[redacted]" in redact(secret)
    (full,) = compare([lambda: redact(secret)], 3)
    print(f"redaction, a secret in every span: {full / 256:.3f} a span")


def compare(ways: Sequence[Callable[[], object]], calls: int) -> list[float]:
    """Microseconds of one call of each way, the median of rounds in turn."""
    rounds: list[list[float]] = [[] for _ in ways]
    for _ in range(ROUNDS):
        for way, times in zip(ways, rounds, strict=True):
            start = perf_counter_ns()
            for _ in range(calls):
                way()
            times.append((perf_counter_ns() - start) / calls / 1000)
    return [median(times) for times in rounds]


def frame(spans: int) -> bytes:
    """A frame like those of a bot: varied text, a usage count, no secret."""
    chance = random.Random(1)
    return b"".join(span(chance) for _ in range(spans))


def span(chance: random.Random) -> bytes:
    def text(words: int) -> str:
        return " ".join(chance.choices(WORDS, k=words))

    event = {
        "type": "span",
        "trace_id": f"01902c5e-7b1a-7000-8000-{chance.getrandbits(48):012x}",
        "span_id": f"{chance.getrandbits(64):016x}",
        "span_name": "agent:trainer",
        "start_time": 1_700_000_000_000_000,
        "end_time": 1_700_000_000_000_100,
        "duration_ms": 0.1,
        "status": "ok",
        "success": True,
        "input_data": {"text": text(30), "user_id": "seven", "task_id": "abc", "flag": True},
        "output_data": {"plan": text(80), "usage": {"input_tokens": 812, "output_tokens": 77}},
        "attributes": {"gen_ai.usage.input_tokens": 812},
    }
    return orjson.dumps(event, option=orjson.OPT_APPEND_NEWLINE)


if __name__ == "__main__":
    main()

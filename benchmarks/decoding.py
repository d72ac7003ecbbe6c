"""What a span costs from the entry to its row, part by part: by structs, as usual, and by the models, as all else.

One frame of 256 spans; rounds in turn, medians, microseconds a span. Run it by hand: `python -m benchmarks decoding`.
"""

import random
from collections.abc import Callable
from uuid import uuid4

import orjson

from benchmarks.encoder import compare
from benchmarks.workload import span
from tracequeue.events import ANY_EVENT
from tracequeue.frame import pack, unpack
from tracequeue.ids import new_trace_id
from tracequeue_worker.careful_lines import careful_row
from tracequeue_worker.decoder import Decoder, TimeWindow, digest_of
from tracequeue_worker.foreign import suspicious
from tracequeue_worker.line_structs import ANY_LINE
from tracequeue_worker.quick_lines import quick_rows
from tracequeue_worker.records import Entry
from tracequeue_worker.settings import WorkerSettings

SPANS, TRACES, CALLS = 256, 26, 20
WINDOW = TimeWindow.of(WorkerSettings())


def entry(**more: object) -> Entry:
    """A frame of a bot whose spans say something more."""
    chance = random.Random(1)
    trace_ids = [str(new_trace_id()) for _ in range(TRACES)]
    lines = [orjson.dumps(span(chance, trace_ids[number * TRACES // SPANS]) | more) for number in range(SPANS)]
    fields = pack(b"\n".join(lines), SPANS, emitter_id=uuid4().hex, seq=1, account=b'{"emitted":256}', meta=b"{}")
    return Entry(b"{tracequeue:0}:events", 0, b"1-1", fields)


def parts(usual: Entry, unusual: Entry) -> dict[str, Callable[[], object]]:
    frame, decoder, times = unpack(usual.fields), Decoder(WINDOW), WINDOW.now()
    return {
        "unpack: decompress, split, count": lambda: unpack(usual.fields),
        "digest": lambda: digest_of(frame.body),
        "look for what cannot be stored": lambda: suspicious(frame),
        "parse and check, structs": lambda: [ANY_LINE.decode(line) for line in frame.lines],
        "parse and check, models": lambda: [ANY_EVENT.validate_python(orjson.loads(line)) for line in frame.lines],
        "lines to rows, structs": lambda: quick_rows(frame.numbered, times, [], []),
        "lines to rows, models": lambda: [careful_row(index, line, times, odd=False) for index, line in frame.numbered],
        "entry to frame": lambda: decoder.decode(usual),
        "entry to frame, fields nobody knows": lambda: decoder.decode(unusual),
    }


def main() -> None:
    named = parts(entry(), entry(spam=1))
    for name, cost in zip(named, compare(list(named.values()), CALLS), strict=True):
        print(f"{name:36} {cost / SPANS:6.2f}")


if __name__ == "__main__":
    main()

"""Entry -> decoded frame. Pure computing; whatever the bytes are, the answer is rows and rejections, never an error."""

import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any, NamedTuple, Self
from uuid import UUID

import orjson
from pydantic import ValidationError

from tracequeue.errors import FrameRejected
from tracequeue.events import ANY_EVENT, SpanEvent, TraceStarted
from tracequeue.frame import MAX_EVENT_BYTES, MAX_EVENTS, Account, Frame, account_of, identity, unpack
from tracequeue_worker.foreign import Refused, clean, read_foreign, suspicious
from tracequeue_worker.records import DAY, MOST_DAYS, DecodedFrame, Entry, Rejection
from tracequeue_worker.rows import EPOCH, MICROSECOND, ended_row, microseconds, span_row, started_row
from tracequeue_worker.settings import WorkerSettings

ERROR_LENGTH = 500


class TimeWindow(NamedTuple):
    """Times that a store can hold and a person can mean, in microseconds; the end moves with the clock."""

    earliest: int
    ahead: int

    @classmethod
    def of(cls, settings: WorkerSettings) -> Self:
        start = datetime.combine(settings.past_limit, datetime.min.time(), UTC)
        return cls((start - EPOCH) // MICROSECOND, timedelta(days=settings.future_days) // MICROSECOND)

    def latest(self) -> int:
        """The end of the window now."""
        return time.time_ns() // 1000 + self.ahead


class Decoder:
    """Unpacks entries and validates every event against the models of the wire format.

    `ignored_fields` counts what events say that the wire format does not know.
    """

    def __init__(self, window: TimeWindow) -> None:
        self.ignored_fields = 0
        self._window = window

    def decode(self, entry: Entry) -> DecodedFrame:
        """The frame of an entry. A frame that cannot be read at all has one rejection, without an index."""
        try:
            frame = unpack(entry.fields)
            meta, account = _clean_description(frame)
        except FrameRejected as error:
            return _unreadable(entry, error)
        decoded = DecodedFrame(
            entry=entry,
            emitter_id=frame.emitter_id or anonymous_id(entry),
            seq=frame.seq,
            digest=_digest(frame.body),
            events=len(frame.lines),
            anonymous=frame.seq == 0,
            account=account,
            meta=meta,
            retry=frame.retry,
            size=entry.size + len(frame.body),
        )
        self._read_lines(frame, decoded)
        if len(decoded.days) > MOST_DAYS:
            _refuse_days(decoded)
        return decoded

    def _read_lines(self, frame: Frame, decoded: DecodedFrame) -> None:
        times = (self._window.earliest, self._window.latest())
        odd = suspicious(frame)
        trace_ids: dict[Any, str] = {}
        for index, line in frame.numbered:
            try:
                self.ignored_fields += _read_line(index, line, decoded, times, trace_ids, odd)
            except Refused as refused:
                error = refused.error[:ERROR_LENGTH]
                decoded.rejections.append(Rejection(index, refused.reason, error, _trace_of(line)))


def _refuse_days(decoded: DecodedFrame) -> None:
    """Keep the latest days that one transaction can write."""
    first = sorted(decoded.days)[-MOST_DAYS] * DAY
    error = f"events of more than {MOST_DAYS} days in one frame, and this is not of the latest"
    refused = [
        (row.line, row.trace_id) for rows in (decoded.spans, decoded.traces) for row in rows if row.start_time < first
    ]
    decoded.spans[:] = [row for row in decoded.spans if row.start_time >= first]
    decoded.traces[:] = [row for row in decoded.traces if row.start_time >= first]
    decoded.rejections.extend(Rejection(line, "time_range", error, trace_id) for line, trace_id in sorted(refused))


def _clean_description(frame: Frame) -> tuple[Mapping[str, Any], Account | None]:
    try:
        account = frame.account and replace(frame.account, lost=clean(frame.account.lost))
        return clean(frame.meta), account
    except RecursionError:
        raise FrameRejected("undecodable", "meta is nested too deep") from None


def _read_line(
    index: int, line: bytes, decoded: DecodedFrame, times: tuple[int, int], trace_ids: dict[Any, str], odd: bool
) -> int:
    """Add the row of a line. Returns how many of its fields are unknown; raises `Refused`."""
    if len(line) > MAX_EVENT_BYTES:
        raise Refused("too_large", f"an event of {len(line)} bytes, the limit is {MAX_EVENT_BYTES}")
    try:
        value = read_foreign(line) if odd else orjson.loads(line)
    except orjson.JSONDecodeError:
        value = read_foreign(line)
    try:
        event = ANY_EVENT.validate_python(value)
    except ValidationError as error:
        raise Refused("schema", _first_problem(error)) from None
    text = value["trace_id"]
    trace_id = trace_ids.get(text)
    if trace_id is None:
        trace_id = trace_ids[text] = str(event.trace_id)
    start = _in_window("start_time", microseconds(event.start_time), times)
    unknown = len(value) - len(event.model_fields_set)
    if isinstance(event, TraceStarted):
        decoded.traces.append(started_row(index, event, trace_id, start))
        return unknown
    end = _in_window("end_time", microseconds(event.end_time), times)
    if isinstance(event, SpanEvent):
        decoded.spans.append(span_row(index, event, trace_id, start, end))
    else:
        decoded.traces.append(ended_row(index, event, trace_id, start, end))
    return unknown


def _trace_of(line: bytes) -> str | None:
    """The trace of a refused event, so that the trace can say what it lacks."""
    try:
        return str(UUID(orjson.loads(line)["trace_id"]))
    except (ValueError, LookupError, TypeError, AttributeError):
        return None


def _unreadable(entry: Entry, error: FrameRejected) -> DecodedFrame:
    """Known by its emitter and number if these can be read, so that it counts in the emitter's account."""
    try:
        emitter_id, seq = identity(entry.fields)
    except FrameRejected:
        emitter_id, seq = None, 0
    return DecodedFrame(
        entry=entry,
        emitter_id=emitter_id or anonymous_id(entry),
        seq=seq,
        digest=_digest(entry.fields.get(b"body", b"")),
        events=_announced(entry),
        anonymous=seq == 0,
        rejections=[Rejection(None, error.reason, str(error)[:ERROR_LENGTH])],
        account=_account(entry) if emitter_id and b"acct" in entry.fields else None,
        size=entry.size,
    )


def _account(entry: Entry) -> Account | None:
    """What the emitter of an unreadable frame handed over: the frame may have been its last."""
    try:
        account = account_of(entry.fields)
    except FrameRejected:
        return None
    return replace(account, lost=clean(account.lost))


def _announced(entry: Entry) -> int:
    """How many events an unreadable frame says it holds: they are all lost to this dead letter, and counted so."""
    count = entry.fields.get(b"n", b"")
    return int(count) if count.isdigit() and len(count) < 6 and int(count) <= MAX_EVENTS else 0


def anonymous_id(entry: Entry) -> UUID:
    """The identity of a frame without an emitter: the same whenever the same entry is delivered."""
    name = b"\0".join((entry.stream, entry.id, entry.fields.get(b"body", b"")))
    return UUID(bytes=blake2b(name, digest_size=16).digest())


def _digest(body: bytes) -> bytes:
    return blake2b(body, digest_size=16).digest()


def _first_problem(error: ValidationError) -> str:
    """Where the event breaks the contract and how, without the value: it may be long, or private."""
    count = error.error_count()
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(map(str, first["loc"]))[:100] or "event"
    more = f" (and {count - 1} more)" if count > 1 else ""
    return f"{place}: {first['msg'][:200]}{more}"


def _in_window(name: str, moment: int, times: tuple[int, int]) -> int:
    if times[0] <= moment <= times[1]:
        return moment
    raise Refused("time_range", f"{name} {moment} is outside {times[0]}..{times[1]} microseconds since 1970")

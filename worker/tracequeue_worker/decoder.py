"""Entry -> decoded frame. Pure computing; whatever the bytes are, the answer is rows and rejections, never an error."""

import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any, NamedTuple, Self
from uuid import UUID

from tracequeue.errors import FrameRejected
from tracequeue.frame import MAX_EVENTS, Account, Frame, account_of, identity, unpack
from tracequeue_worker.careful_lines import careful_row, trace_of
from tracequeue_worker.foreign import Refused, clean, suspicious
from tracequeue_worker.quick_lines import quick_rows
from tracequeue_worker.records import DAY, MOST_DAYS, DecodedFrame, Entry, Rejection, SpanRow, Times, TraceRow
from tracequeue_worker.rows import EPOCH, MICROSECOND
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

    def now(self) -> Times:
        """The first and the last of these times."""
        return self.earliest, time.time_ns() // 1000 + self.ahead


class Decoder:
    """Unpacks entries and makes rows of their events: quickly of the usual ones, of the others with care.

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
        spans, traces, rejections = self._read_lines(frame)
        decoded = DecodedFrame(
            entry=entry,
            emitter_id=frame.emitter_id or anonymous_id(entry),
            seq=frame.seq,
            digest=digest_of(frame.body),
            events=len(frame.lines),
            anonymous=frame.seq == 0,
            spans=spans,
            traces=traces,
            rejections=rejections,
            account=account,
            meta=meta,
            retry=frame.retry,
            size=entry.size + len(frame.body),
        )
        return decoded if len(decoded.days) <= MOST_DAYS else decoded.without(_beyond_days(decoded))

    def _read_lines(self, frame: Frame) -> tuple[list[SpanRow], list[TraceRow], list[Rejection]]:
        times = self._window.now()
        odd = suspicious(frame)
        spans: list[SpanRow] = []
        traces: list[TraceRow] = []
        rejections: list[Rejection] = []
        declined = list(frame.numbered) if odd else quick_rows(frame.numbered, times, spans, traces)
        for index, line in declined:
            try:
                row, unknown = careful_row(index, line, times, odd)
            except Refused as refused:
                rejections.append(Rejection(index, refused.reason, refused.error[:ERROR_LENGTH], trace_of(line)))
                continue
            self.ignored_fields += unknown
            if isinstance(row, SpanRow):
                spans.append(row)
            else:
                traces.append(row)
        if declined:
            spans.sort()
            traces.sort()
        return spans, traces, rejections


def _beyond_days(decoded: DecodedFrame) -> list[Rejection]:
    """The rows that start before the latest days that one transaction can write."""
    first = sorted(decoded.days)[-MOST_DAYS] * DAY
    error = f"events of more than {MOST_DAYS} days in one frame, and this is not of the latest"
    return [
        Rejection(row.line, "time_range", error, row.trace_id)
        for rows in (decoded.spans, decoded.traces)
        for row in rows
        if row.start_time < first
    ]


def _clean_description(frame: Frame) -> tuple[Mapping[str, Any], Account | None]:
    try:
        account = frame.account and replace(frame.account, lost=clean(frame.account.lost))
        return clean(frame.meta), account
    except RecursionError:
        raise FrameRejected("undecodable", "meta is nested too deep") from None


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
        digest=digest_of(entry.fields.get(b"body", b"")),
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


def digest_of(body: bytes) -> bytes:
    """By what the ledger tells two frames of one number apart."""
    return blake2b(body, digest_size=16).digest()

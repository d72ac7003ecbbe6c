"""Spans as requests of OTLP: a program of a peer's environment, which has the protobuf classes.

Lines of JSON come in, as `workload.span` makes them; for every 512 of them a request goes out, its length in four bytes
before it.
"""

import json
import sys
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

BATCH = 512


def request(events: Sequence[dict[str, Any]]) -> bytes:
    spans = ScopeSpans(spans=[span(event) for event in events])
    return ExportTraceServiceRequest(resource_spans=[ResourceSpans(scope_spans=[spans])]).SerializeToString()


def span(event: dict[str, Any]) -> Span:
    """Names of attributes as OpenInference has them, which Phoenix and MLflow both read."""
    attributes = {
        "openinference.span.kind": event["kind"].upper(),
        "input.value": json.dumps(event["input_data"]),
        "output.value": json.dumps(event["output_data"]),
    }
    return Span(
        trace_id=UUID(event["trace_id"]).bytes,
        span_id=bytes.fromhex(event["span_id"]),
        parent_span_id=bytes.fromhex(event.get("parent_span_id", "")),
        name=event["span_name"],
        start_time_unix_nano=event["start_time"] * 1000,
        end_time_unix_nano=event["end_time"] * 1000,
        attributes=[KeyValue(key=key, value=AnyValue(string_value=value)) for key, value in attributes.items()],
        status=Status(code=Status.STATUS_CODE_OK),
    )


def main() -> None:
    events = [json.loads(line) for line in sys.stdin]
    for first in range(0, len(events), BATCH):
        body = request(events[first : first + BATCH])
        sys.stdout.buffer.write(len(body).to_bytes(4) + body)


if __name__ == "__main__":
    main()

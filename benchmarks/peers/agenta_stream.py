"""What Agenta's server does before its worker has anything to do: a program of the environment `agenta`.

`migrate` makes its tables; `fill` takes lines of JSON, as `workload.span` makes them, and puts them into the stream.
"""

import asyncio
import json
import sys
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

BATCH = 512


def migrate() -> None:
    from oss.databases.postgres.migrations.tracing import utils as first
    from oss.databases.postgres.migrations.tracing_oss import utils as second

    first.run_alembic_migration()
    second.run_alembic_migration()


async def fill() -> None:
    from oss.src.core.tracing.dtos import OTelFlatSpan
    from oss.src.core.tracing.service import TracingService

    service = TracingService(tracing_dao=None)
    owner = {"organization_id": uuid4(), "project_id": uuid4(), "user_id": uuid4()}
    spans = [OTelFlatSpan(**fields(json.loads(line))) for line in sys.stdin]
    for first in range(0, len(spans), BATCH):
        await service.ingest_spans(**owner, spans=spans[first : first + BATCH])


def fields(event: dict[str, Any]) -> dict[str, object]:
    return {
        "trace_id": event["trace_id"],
        "span_id": event["span_id"],
        "parent_id": event.get("parent_span_id"),
        "span_name": event["span_name"],
        "start_time": datetime.fromtimestamp(event["start_time"] / 1e6, UTC),
        "end_time": datetime.fromtimestamp(event["end_time"] / 1e6, UTC),
        "status_code": "STATUS_CODE_OK",
        "attributes": {
            "ag": {
                "type": {"span": event["kind"]},
                "data": {"inputs": event["input_data"], "outputs": event["output_data"]},
            }
        },
    }


if __name__ == "__main__":
    if sys.argv[1] == "migrate":
        migrate()
    else:
        asyncio.run(fill())

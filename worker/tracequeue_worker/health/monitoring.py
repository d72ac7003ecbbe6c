"""The health port of a worker: /healthz, /readyz and /metrics, answered from what the worker knows of itself."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

from tracequeue_worker.health.metrics import CONTENT_TYPE, Metrics
from tracequeue_worker.health.responder import Answer, answering
from tracequeue_worker.health.verdicts import Health, Verdict
from tracequeue_worker.health.watch import Watch
from tracequeue_worker.pipeline import Pipeline
from tracequeue_worker.settings import WorkerSettings

log = logging.getLogger(__name__)


@asynccontextmanager
async def monitored(pipeline: Pipeline, watch: Watch, settings: WorkerSettings, port: int) -> AsyncIterator[None]:
    """Answer until the block is left. Raises `SettingsError` where the port cannot be had."""
    health = Health(pipeline, watch, stall_seconds=settings.stall_seconds)
    metrics = Metrics(pipeline, watch)
    pages = {
        "/healthz": lambda: _answer(health.liveness()),
        "/readyz": lambda: _answer(health.readiness()),
        "/metrics": lambda: Answer(HTTPStatus.OK, CONTENT_TYPE, metrics.page()),
    }
    async with answering(settings.health_host, port, pages):
        log.info("health on port %d: %s", port, ", ".join(pages))
        watching = asyncio.create_task(watch.run(), name="tracequeue watch")
        try:
            yield
        finally:
            watching.cancel()
            await asyncio.wait({watching})


def _answer(verdict: Verdict) -> Answer:
    status = HTTPStatus.OK if verdict.well else HTTPStatus.SERVICE_UNAVAILABLE
    return Answer(status, "application/json", json.dumps(verdict.document(), default=str).encode() + b"\n")

"""Agenta's worker of spans, run as its containers run it, on servers of this machine."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Final

import asyncpg
import orjson

from benchmarks import peers
from benchmarks.peers.processes import child, new_database, stored
from benchmarks.workload import Event
from tracequeue_worker.embedded import Servers

API: Final = peers.FOLDER / "agenta/checkout/api"
MIGRATIONS: Final = "oss/databases/postgres/migrations/tracing/alembic.ini"
NOWHERE: Final = "http://127.0.0.1:9"


class Agenta:
    """An installation with a database of its own; its stream is in the same Redis as ours, under a name of its own."""

    def __init__(self, place: Servers, folder: Path) -> None:
        self._folder = folder / "agenta"
        self._folder.mkdir()
        self._database = asyncio.run(new_database(place, "agenta"))
        self._environment = self._environment_of(place.redis_url)

    def _environment_of(self, redis_url: str) -> dict[str, str]:
        """All that it insists on. What would call out goes nowhere."""
        database = self._database.replace("postgresql:", "postgresql+asyncpg:")
        configuration = self._folder / "alembic.ini"
        configuration.write_text((API / MIGRATIONS).read_text().replace("/app/", f"{API}/"))
        return {
            "PYTHONPATH": str(API),
            "REDIS_URI": redis_url,
            "POSTGRES_URI_CORE": database,
            "POSTGRES_URI_TRACING": database,
            "POSTGRES_URI_SUPERTOKENS": self._database,
            "ALEMBIC_CFG_PATH_TRACING": str(configuration),
            "AGENTA_WORKER_STREAMS": "spans",
            "AGENTA_AUTH_KEY": "benchmark",
            "AGENTA_CRYPT_KEY": "benchmark",
            "AGENTA_API_URL": NOWHERE,
            "SUPERTOKENS_CONNECTION_URI": NOWHERE,
            "POSTHOG_API_URL": NOWHERE,
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        }

    def migrate(self) -> None:
        peers.output_of("agenta", "agenta_stream", "migrate", environment=self._environment)

    def drained(self, events: Sequence[Event]) -> float:
        """Spans a second, from the first rows that appear to the last: it takes seconds to start."""
        lines = b"\n".join(map(orjson.dumps, events))
        peers.output_of("agenta", "agenta_stream", "fill", given=lines, environment=self._environment)
        command: list[str | Path] = [peers.interpreter("agenta"), "-m", "entrypoints.worker_streams"]
        with child(command, self._environment, self._folder):
            return asyncio.run(self._rate_of_rows(len(events)))

    async def _rate_of_rows(self, spans: int) -> float:
        postgres = await asyncpg.connect(self._database)
        wanted = await stored(postgres) + spans
        first = await stored(postgres, wanted - spans + 1)
        started = perf_counter()
        await stored(postgres, wanted)
        elapsed = perf_counter() - started
        await postgres.close()
        return (wanted - first) / elapsed

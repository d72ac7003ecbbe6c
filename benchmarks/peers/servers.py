"""Phoenix and MLflow as servers on this machine: they take OTLP over HTTP, and store in the Postgres they are given."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from time import perf_counter
from typing import Final

import asyncpg
import orjson

from benchmarks import peers
from benchmarks.peers.processes import child, free_port, stored

SECONDS, POLL_SECONDS = 120, 0.05


@dataclass(frozen=True, slots=True)
class Server:
    """How to run one. Its arguments and its environment name `{port}`, `{database}` (a URL) and `{folder}`."""

    name: str
    family: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    health: str
    """Where it says that it is ready."""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def known_as(self) -> str:
        (version,) = peers.versions(self.family).values()
        return f"{self.name} {version}"


PHOENIX: Final = Server(
    "Phoenix",
    "phoenix",
    ("-m", "phoenix.server.main", "serve"),
    {
        "PHOENIX_SQL_DATABASE_URL": "{database}",
        "PHOENIX_HOST": "127.0.0.1",
        "PHOENIX_PORT": "{port}",
        "PHOENIX_GRPC_PORT": "{another_port}",
        "PHOENIX_WORKING_DIR": "{folder}",
        "PHOENIX_TELEMETRY_ENABLED": "false",
        "PHOENIX_ALLOW_EXTERNAL_RESOURCES": "false",
    },
    "/healthz",
)
MLFLOW: Final = Server(
    "MLflow",
    "mlflow",
    (
        *("-m", "mlflow", "server", "--host", "127.0.0.1", "--port", "{port}"),
        *("--backend-store-uri", "{database}", "--artifacts-destination", "{folder}"),
    ),
    {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
    "/health",
    {"x-mlflow-experiment-id": "0"},
)


@dataclass(frozen=True, slots=True)
class Running:
    server: Server
    port: int
    database: str

    async def seconds_to_store(self, requests: Sequence[bytes], spans: int) -> float:
        """From the first request, one after another over one connection, until Postgres shows all rows."""
        postgres = await asyncpg.connect(self.database)
        before = await stored(postgres)
        connection = HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
        started = perf_counter()
        for body in requests:
            self._send(connection, body)
        await stored(postgres, before + spans)
        elapsed = perf_counter() - started
        connection.close()
        await postgres.close()
        return elapsed

    def _send(self, connection: HTTPConnection, body: bytes) -> None:
        headers = {"Content-Type": "application/x-protobuf", **self.server.headers}
        connection.request("POST", "/v1/traces", body, headers)
        answer = connection.getresponse()
        said = answer.read()
        assert answer.status == 200, (self.server.name, answer.status, said)


def otlp(server: Server, events: Sequence[Mapping[str, object]]) -> list[bytes]:
    """The spans as requests of 512, made before anything is measured."""
    rest = peers.output_of(server.family, "otlp", given=b"\n".join(map(orjson.dumps, events)))
    requests = []
    while rest:
        end = 4 + int.from_bytes(rest[:4])
        requests.append(rest[4:end])
        rest = rest[end:]
    return requests


@contextmanager
def running(server: Server, database: str, folder: Path) -> Iterator[Running]:
    """Run it until the block is left, in a database of its own, with its files and its log in `folder`."""
    folder.mkdir()
    port = free_port()
    names = {"port": port, "another_port": free_port(), "database": database, "folder": folder}
    environment = {name: value.format(**names) for name, value in server.environment.items()}
    arguments = [argument.format(**names) for argument in server.arguments]
    with child([peers.interpreter(server.family), *arguments], environment, folder):
        _await(server, port, folder)
        yield Running(server, port, database)


def _await(server: Server, port: int, folder: Path) -> None:
    deadline = perf_counter() + SECONDS
    while not _answers(port, server.health):
        assert perf_counter() < deadline, (folder / "log").read_text()[-2000:]
        time.sleep(POLL_SECONDS)


def _answers(port: int, path: str) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()

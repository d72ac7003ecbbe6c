"""TLS to both servers, with an authority of one's own: what is not it is refused, in a line that says the cure."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fixtures.command import Command
from tests.fixtures.journal import Bot
from tests.fixtures.polling import eventually
from tests.fixtures.tls import TlsServers, elsewhere, port_of, with_options
from tracequeue_worker.report import WorkerReport
from tracequeue_worker.service import run
from tracequeue_worker.settings import WorkerSettings


def redis_url(tls: TlsServers) -> str:
    return with_options(tls.redis, ssl_ca_certs=tls.files.authority)


def database_url(tls: TlsServers) -> str:
    return with_options(tls.database, sslmode="verify-full", sslrootcert=tls.files.authority)


@pytest.fixture
def secure(tls: TlsServers, prefix: str, alone: Command) -> Command:
    alone.environment |= {
        "TRACEQUEUE_REDIS_URL": redis_url(tls),
        "TRACEQUEUE_DATABASE_URL": database_url(tls),
        "TRACEQUEUE_PREFIX": prefix,
    }
    return alone


async def test_emitter_and_worker(tls: TlsServers, prefix: str) -> None:
    bot = Bot(redis_url(tls), prefix)
    bot.burst(5)
    settings = WorkerSettings.load(redis_url=redis_url(tls), database_url=database_url(tls), prefix=prefix)
    await eventually(lambda: bot.collector.stats().complete)
    report: WorkerReport = await run(settings, drain=True)
    assert await bot.collector.persisted(30)
    await bot.stop()
    assert report.rows == bot.journal.events


def test_commands(secure: Command, tls: TlsServers) -> None:
    for arguments in (["migrate", "--status"], ["worker", "--drain"], ["status"], ["traces"], ["dlq", "list"]):
        assert secure(*arguments, "--json").code == 0


@dataclass(frozen=True)
class Wrong:
    """How a client is told wrongly where the servers are, and what the line says that refuses it."""

    stranger: bool
    host: str
    redis_cure: str
    database_cure: str

    def redis(self, tls: TlsServers) -> str:
        url = elsewhere(tls.redis, "rediss", port_of(tls.redis), self.host)
        return with_options(url, ssl_ca_certs=self._authority(tls))

    def database(self, tls: TlsServers) -> str:
        url = elsewhere(tls.database, "postgresql", port_of(tls.database), self.host)
        return with_options(url, sslmode="verify-full", sslrootcert=self._authority(tls))

    def _authority(self, tls: TlsServers) -> Path:
        return tls.files.stranger if self.stranger else tls.files.authority


WRONG = [
    pytest.param(Wrong(True, "localhost", "?ssl_ca_certs=FILE", "?sslrootcert=FILE"), id="authority"),
    pytest.param(Wrong(False, "127.0.0.1", "name the host as", "name the host as"), id="host name"),
]


@pytest.mark.parametrize("wrong", WRONG)
def test_commands_refuse_another_server(secure: Command, tls: TlsServers, wrong: Wrong) -> None:
    refused = secure("worker", TRACEQUEUE_REDIS_URL=wrong.redis(tls))
    assert (refused.code, len(refused.err.splitlines())) == (3, 1)
    assert wrong.redis_cure in refused.err
    refused = secure("traces", TRACEQUEUE_DATABASE_URL=wrong.database(tls))
    assert (refused.code, len(refused.err.splitlines())) == (3, 1)
    assert wrong.database_cure in refused.err


@pytest.mark.parametrize("wrong", WRONG)
async def test_an_emitter_sends_nothing_to_another_server(
    tls: TlsServers, prefix: str, caplog: pytest.LogCaptureFixture, wrong: Wrong
) -> None:
    bot = Bot(wrong.redis(tls), prefix)
    bot.burst(3)
    await eventually(lambda: wrong.redis_cure in caplog.text)
    assert bot.collector.stats().published == 0
    await bot.stop(0.1)


def test_a_postgres_without_tls_is_refused_where_it_is_asked_for(command: Command) -> None:
    """With `sslmode=require` and above; the driver's default, `prefer`, would go on without TLS."""
    url = with_options(command.environment["TRACEQUEUE_DATABASE_URL"], sslmode="require")
    refused = command("traces", TRACEQUEUE_DATABASE_URL=url)
    assert (refused.code, len(refused.err.splitlines())) == (3, 1)
    assert "switch it on there" in refused.err

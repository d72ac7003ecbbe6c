"""docker-compose.yml and Dockerfile against the command line, the settings and the tree: no engine runs them here."""

import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from typer.testing import CliRunner

from tracequeue.settings import EmitterSettings
from tracequeue_worker.settings import WorkerSettings

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = sorted(name for name, service in SERVICES.items() if "build" in service)
DOCKERFILE = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
PINNED = re.compile(r"^[a-z/]+:\d+\.\d+(\.\d+)?(-[a-z-]+)?$")
INTERPOLATED = re.compile(r"(?<!\$)\$\{(\w+)(?::?([?-])([^}]*))?\}")


def commands() -> Iterator[tuple[str, list[str]]]:
    """Every command line of the project that the two files would run."""
    for name in OURS:
        yield name, SERVICES[name]["command"]
    yield "Dockerfile", json.loads(instructions("CMD")[-1])


def instructions(name: str) -> list[str]:
    """The arguments of one kind of Dockerfile instruction."""
    return re.findall(rf"^{name} (.+)$", DOCKERFILE, flags=re.MULTILINE)


def environment(service: str) -> dict[str, str]:
    """What the service gets from the image and from the file, with `secret` for every interpolated variable."""
    baked = dict(pair.split("=", 1) for line in instructions("ENV") for pair in shlex.split(line))
    given = {name: INTERPOLATED.sub("secret", str(value)) for name, value in SERVICES[service]["environment"].items()}
    return {name: value for name, value in (baked | given).items() if name.startswith("TRACEQUEUE_")}


@pytest.mark.parametrize(("where", "command"), list(commands()))
def test_every_command_is_one_of_the_command_line(where: str, command: list[str]) -> None:
    assert accepts(command), where


def test_the_command_line_refuses_what_is_not_there() -> None:
    assert not accepts(["tracequeue", "wroker"])
    assert not accepts(["tracequeue", "worker", "--drian"])


def accepts(command: list[str]) -> bool:
    """Unknown commands and options are refused before `--help` is looked at."""
    from tracequeue_worker.cli import app

    program, *arguments = command
    return program == "tracequeue" and CliRunner().invoke(app, [*arguments, "--help"]).exit_code == 0


@pytest.mark.parametrize("service", OURS)
def test_every_variable_is_a_setting_and_every_value_is_accepted(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    variables = environment(service)
    fields = {*EmitterSettings.model_fields, *WorkerSettings.model_fields}
    assert {name.removeprefix("TRACEQUEUE_").lower() for name in variables} <= fields
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert WorkerSettings.load().database_url.get_secret_value().startswith("postgresql://tracequeue:secret@postgres")
    assert EmitterSettings.from_environment().redis_url == "redis://:secret@redis:6379/0"


def test_urls_name_services_and_the_database_that_postgres_makes() -> None:
    variables = environment("worker")
    redis, postgres = (urlsplit(variables[f"TRACEQUEUE_{name}_URL"]) for name in ("REDIS", "DATABASE"))
    assert (redis.hostname, redis.port) == ("redis", 6379)
    assert (postgres.hostname, postgres.port) == ("postgres", 5432)
    assert SERVICES["postgres"]["environment"]["POSTGRES_USER"] == postgres.username
    assert SERVICES["postgres"]["environment"]["POSTGRES_DB"] == postgres.path.removeprefix("/")


def test_redis_keeps_unread_traces() -> None:
    command = " ".join(SERVICES["redis"]["command"])
    assert "--appendonly yes" in command
    assert "--maxmemory-policy noeviction" in command
    assert "redis:/data" in SERVICES["redis"]["volumes"]


def test_workers_start_after_one_migration_and_can_be_scaled() -> None:
    worker = SERVICES["worker"]
    assert worker["depends_on"] == {
        "redis": {"condition": "service_healthy"},
        "migrate": {"condition": "service_completed_successfully"},
    }
    assert SERVICES["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    assert not {"container_name", "ports", "hostname"} & set(worker)
    assert "TRACEQUEUE_CONSUMER" not in worker["environment"]


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_what_others_wait_for_is_checked_and_what_runs_on_has_time_to_stop(service: str) -> None:
    awaited = {
        name
        for other in SERVICES.values()
        for name, how in other.get("depends_on", {}).items()
        if how["condition"] == "service_healthy"
    }
    lasting = SERVICES[service]["restart"] == "unless-stopped"
    assert ("healthcheck" in SERVICES[service]) == (service in awaited or lasting)
    assert "stop_grace_period" in SERVICES[service] or service == "migrate"


def test_the_health_of_a_worker_is_asked_where_it_answers() -> None:
    """tests/fault/test_health_port.py runs this check."""
    worker = SERVICES["worker"]
    port = worker["environment"]["TRACEQUEUE_HEALTH_PORT"]
    assert f"http://127.0.0.1:{port}/healthz" in worker["healthcheck"]["test"][-1]
    assert worker["expose"] == instructions("EXPOSE") == [port]


def test_retention_and_the_demo_only_run_when_they_are_asked_for() -> None:
    profiles = {name: service["profiles"] for name, service in SERVICES.items() if service.get("profiles")}
    assert profiles == {"retention": ["retention"], "demo": ["demo"]}


@pytest.mark.parametrize("service", OURS)
def test_our_containers_have_no_rights(service: str) -> None:
    assert SERVICES[service]["cap_drop"] == ["ALL"]
    assert SERVICES[service]["read_only"] is True
    assert SERVICES[service]["security_opt"] == ["no-new-privileges:true"]


def test_the_image_does_not_run_as_root() -> None:
    assert instructions("USER")[-1] == "10001"
    assert any("useradd --uid 10001" in line for line in instructions("RUN"))
    assert DOCKERFILE.rindex("USER 10001") > DOCKERFILE.rindex("FROM ")


def test_secrets_come_from_the_environment_and_have_no_default() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    assert re.findall(r"(?i)password: (?!\$\{)\S+", text) == []
    uses = INTERPOLATED.findall(text)
    assert {how for name, how, _ in uses if name.endswith("PASSWORD")} == {"?"}
    explained = set(re.findall(r"^(\w+)=", (ROOT / ".env.example").read_text(), flags=re.MULTILINE))
    assert {name for name, _, _ in uses} == explained


def test_images_are_pinned() -> None:
    images = [service["image"] for service in SERVICES.values()] + [line.split()[0] for line in instructions("FROM")]
    assert [image for image in images if not PINNED.match(image)] == []
    version = PROJECT["project"]["version"]
    assert {SERVICES[name]["image"] for name in OURS} == {f"tracequeue:{version}"}


def test_what_the_image_copies_is_there_and_is_not_ignored() -> None:
    admitted = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    sources = {source for line in instructions("COPY") if not line.startswith("--from") for source in line.split()[:-1]}
    assert sources == admitted
    assert [source for source in sources if not (ROOT / source).exists()] == []


def test_what_the_build_reads_is_copied() -> None:
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    read = [PROJECT["project"]["readme"], *PROJECT["project"]["license-files"]]
    read += [path.partition("/")[0] for path in (*wheel["packages"], *wheel["force-include"])]
    copied = {source for line in instructions("COPY") for source in line.split()[:-1]}
    assert set(read) <= copied

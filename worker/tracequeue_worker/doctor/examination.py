"""All checks, of the servers that can be reached."""

import os
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field

from tracequeue.settings import EmitterSettings
from tracequeue_worker.doctor.archive import examine_archive_folder
from tracequeue_worker.doctor.finding import Finding, Subject
from tracequeue_worker.doctor.here import examine_here
from tracequeue_worker.doctor.postgres import examine_postgres
from tracequeue_worker.doctor.redis import examine_redis
from tracequeue_worker.errors import LoginRefused, Unreachable
from tracequeue_worker.settings import WorkerSettings


@dataclass(slots=True)
class Examination:
    """`findings` of what could be looked at; `away` says why a server could not."""

    findings: list[Finding] = field(default_factory=list)
    away: dict[Subject, str] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        return any(finding.verdict == "fail" for finding in self.findings)


async def examine(settings: WorkerSettings, environment: Mapping[str, str] = os.environ) -> Examination:
    """Look at Redis, Postgres and this machine. Raises `SettingsError` for what a bot here would refuse."""
    emitter = EmitterSettings.from_environment(environment)
    examination = Examination()
    await _look("redis", examine_redis(settings), examination)
    await _look("postgres", examine_postgres(settings), examination)
    examination.findings += [*examine_here(emitter), *examine_archive_folder(settings.archive_dir)]
    return examination


async def _look(subject: Subject, looking: Awaitable[list[Finding]], examination: Examination) -> None:
    try:
        examination.findings += await looking
    except LoginRefused as error:
        examination.findings.append(Finding(subject, "login", "fail", *_found_and_cure(error)))
    except Unreachable as error:
        examination.away[subject] = str(error)


def _found_and_cure(error: Unreachable) -> tuple[str, str]:
    """Such errors end in the cure."""
    found, _, cure = str(error).rpartition(": ")
    return found, cure

"""The worker's settings: one frozen model, from the environment."""

import os
import secrets
import socket
from datetime import date
from pathlib import Path
from typing import Any, Final, Literal, Self

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from tracequeue.settings import KeyPrefix, PartitionCount, checked_redis_url, checked_url, settings_error

ARCHIVE_GROUP: Final = "archive"
"""The consumer group under which workers with `archive_dir` read the streams a second time."""


def _default_consumer() -> str:
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"


class WorkerSettings(BaseSettings):
    """Every field is the variable `TRACEQUEUE_<NAME>`; the two URLs fall back to `REDIS_URL` and `DATABASE_URL`."""

    model_config = SettingsConfigDict(
        env_prefix="TRACEQUEUE_", frozen=True, extra="ignore", env_ignore_empty=True, populate_by_name=True,
        hide_input_in_errors=True,
    )  # fmt: skip

    redis_url: SecretStr = Field(
        default=SecretStr("redis://127.0.0.1:6379/0"),
        validation_alias=AliasChoices("TRACEQUEUE_REDIS_URL", "REDIS_URL"),
    )
    database_url: SecretStr = Field(
        default=SecretStr("postgresql://127.0.0.1:5432/postgres"),
        validation_alias=AliasChoices("TRACEQUEUE_DATABASE_URL", "DATABASE_URL"),
    )
    prefix: KeyPrefix = "tracequeue"
    partitions: PartitionCount = 1
    group: str = Field(default="persist", min_length=1)
    consumer: str = Field(default_factory=_default_consumer, min_length=1)
    sink: Literal["postgres"] = "postgres"
    batch_rows: int = Field(default=8_000, ge=1, le=1_000_000)
    batch_bytes: int = Field(default=16 * 1024 * 1024, ge=1024)
    batch_linger_ms: int = Field(default=75, ge=0, le=60_000)
    """The longest that a batch waits for more, from its first frame on. After a pause it is 5 ms."""
    min_idle_ms: int = Field(default=60_000, ge=1_000)
    """How long a frame may stay with a silent worker before another one takes it over."""
    past_limit: date = date(2000, 1, 1)
    """Events that start before this day are dead letters (`time_range`)."""
    future_days: int = Field(default=7, ge=1, le=3650)
    """Events that start more than this many days ahead are dead letters (`time_range`)."""
    keep_stream_seconds: int = Field(default=86_400, ge=0)
    """How long settled frames stay in Redis, for replays and for looking; less while its memory is short."""
    archive_dir: Path | None = None
    """Folder into which all frames are written before they are trimmed; without it nothing is archived."""
    dead_letter_bytes: int = Field(default=256 * 1024 * 1024, ge=1)
    """Of Redis memory, for the dead letters of each partition. Beyond, the oldest are dropped."""
    dead_letter_seconds: int = Field(default=30 * 86_400, ge=1)
    """Older dead letters are dropped."""
    retention_days: int | None = Field(default=None, ge=1, le=36_500)
    """Days that ended longer ago are dropped by `tracequeue retention`; without it everything stays."""
    log_format: Literal["text", "json"] = "text"
    health_port: int | None = Field(default=None, ge=1, le=65_535)
    """Where `/healthz`, `/readyz` and `/metrics` are; without it nothing listens."""
    health_host: str = Field(default="0.0.0.0", min_length=1)  # noqa: S104  # who probes a container is outside it
    stall_seconds: float = Field(default=120.0, ge=1, le=86_400)
    """How long frames may wait while nothing moves until `/healthz` fails: longer than one attempt to write takes."""

    @classmethod
    def load(cls, **overrides: Any) -> Self:
        """Read the environment, then let keywords win. Raises `SettingsError` naming the variable and the cure."""
        given = {name: value for name, value in overrides.items() if value is not None}
        try:
            return cls(**given)
        except ValidationError as error:
            raise _named(error, given) from None

    @field_validator("group")
    @classmethod
    def _not_the_archive(cls, group: str) -> str:
        if group == ARCHIVE_GROUP:
            raise ValueError(f"must be another name: the group {ARCHIVE_GROUP} is the archive's")
        return group

    @field_validator("past_limit", mode="before")
    @classmethod
    def _day(cls, day: str | date) -> date:
        try:
            return date.fromisoformat(str(day))
        except ValueError:
            raise ValueError("must be a day such as 2000-01-01") from None

    @field_validator("database_url")
    @classmethod
    def _postgres_scheme(cls, url: SecretStr) -> SecretStr:
        checked_url(url.get_secret_value(), ("postgres", "postgresql"), "postgresql://")
        return url

    @field_validator("redis_url")
    @classmethod
    def _redis_scheme(cls, url: SecretStr) -> SecretStr:
        return SecretStr(checked_redis_url(url.get_secret_value()))


def _named(error: ValidationError, given: dict[str, Any]) -> Exception:
    name = str(error.errors()[0]["loc"][0]).lower().removeprefix("tracequeue_")
    variable = f"TRACEQUEUE_{name.upper()}"
    values = {name: os.environ[variable]} if variable in os.environ else {}
    return settings_error(error, values | given)

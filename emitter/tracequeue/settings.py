"""The emitter's settings: frozen, read once from the environment, passed down."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeAlias
from urllib.parse import SplitResult, urlsplit

import redis
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator

from tracequeue.errors import SettingsError

PREFIX = "TRACEQUEUE_"
UNPREFIXED = ("REDIS_URL", "DATABASE_URL")
"""Variables that are also read without the prefix, because platforms set them so."""

Capture: TypeAlias = Literal["full", "metadata", "off"]
Redactor: TypeAlias = Callable[[dict[str, Any]], dict[str, Any]]


def _without_braces(prefix: str) -> str:
    if "{" in prefix or "}" in prefix:
        raise ValueError("must not contain braces: they mark the Redis Cluster hash tag")
    return prefix


KeyPrefix: TypeAlias = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_without_braces)]
"""First part of every Redis key."""
PartitionCount: TypeAlias = Annotated[int, Field(ge=1, le=1024)]


class EmitterSettings(BaseModel):
    """Where events go and how much of them. Every field is the variable `TRACEQUEUE_<NAME>`, except `redactor`.

    `redis_url` also falls back to plain `REDIS_URL`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    enabled: bool = True
    redis_url: str = Field(default="redis://127.0.0.1:6379/0", repr=False)
    prefix: KeyPrefix = "tracequeue"
    partitions: PartitionCount = 1
    service: str = Field(default="", max_length=200)
    environment: str = Field(default="", max_length=200)
    release: str = Field(default="", max_length=200)
    sample_rate: float = Field(default=1.0, ge=0, le=1)
    """The share of traces recorded, decided when a trace starts."""
    capture: Capture = "full"
    """`full`: all; `metadata`: no inputs and outputs; `off`: only names, times, status and error types."""
    max_value_bytes: int = Field(default=65_536, ge=256, le=196_608)
    """Bound of one captured input, output, attribute set or metadata, as JSON: four fit the wire's 1 MiB an event."""
    buffer_bytes: int = Field(default=32 * 1024 * 1024, ge=1024 * 1024)
    linger_ms: int = Field(default=50, ge=0, le=60_000)
    """The longest that an event waits for company before its frame is sent. After a pause it is 5 ms."""
    compression: bool = True
    spool_dir: Path | None = None
    """Where frames wait while Redis cannot take them. None: nothing is ever written to disk."""
    spool_bytes: int = Field(default=1024 * 1024 * 1024, ge=1024 * 1024)
    """Bound of the folder, for all processes of one prefix together."""
    redactor: Redactor | None = None
    """Called in the publisher's thread with each event, a dict, after the built-in redaction; returns what to send."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None, **overrides: Any) -> Self:
        """Read the variables, then let keywords win. Raises `SettingsError` naming the variable and the cure."""
        source = os.environ if environment is None else environment
        values: dict[str, Any] = {}
        for name in cls.model_fields:
            value = source.get(PREFIX + name.upper())
            if not value and name.upper() in UNPREFIXED:
                value = source.get(name.upper())
            if value:
                values[name] = value
        try:
            return cls(**(values | overrides))
        except ValidationError as error:
            raise settings_error(error, values | overrides) from None

    @field_validator("redis_url")
    @classmethod
    def _redis_scheme(cls, url: str) -> str:
        return checked_redis_url(url)


def checked_redis_url(url: str) -> str:
    """The URL as redis-py takes it. Raises `ValueError` with a text that quotes nothing: it may carry a password."""
    parts = checked_url(url, ("redis", "rediss", "unix", "valkey", "valkeys"), "redis://, rediss:// or unix://")
    if parts.scheme == "unix" and not parts.path:
        raise ValueError("must name a socket: unix:///run/redis.sock")
    known = url.replace("valkey", "redis", 1) if url.startswith("valkey") else url
    try:
        redis.ConnectionPool.from_url(known).make_connection()
    except (TypeError, ValueError, redis.RedisError):
        raise ValueError("has a number or an option that redis-py does not know") from None
    return known


def checked_url(url: str, schemes: Sequence[str], named: str) -> SplitResult:
    """The parts of a server's URL. Raises `ValueError` with a text that quotes nothing: it may carry a password."""
    if not url.startswith(tuple(f"{scheme}://" for scheme in schemes)):
        raise ValueError(f"must start with {named}")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("is not a URL: percent-encode user and password, and give a port of 1 to 65535") from None
    if port == 0:
        raise ValueError("must have a port between 1 and 65535")
    return parts


def settings_error(error: ValidationError, values: Mapping[str, Any]) -> SettingsError:
    """One line for the first wrong setting. URLs and keys are never quoted: they may carry passwords."""
    first = error.errors(include_url=False, include_input=False)[0]
    name = str(first["loc"][0]).lower().removeprefix(PREFIX.lower()) if first["loc"] else "settings"
    problem = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        return SettingsError(f"{name}: there is no such setting")
    shown = "" if name.endswith(("url", "key")) or name not in values else f"={values[name]!r}"
    alias = f" (or {name.upper()})" if name.upper() in UNPREFIXED else ""
    return SettingsError(f"{PREFIX}{name.upper()}{alias}{shown}: {problem[:1].lower()}{problem[1:]}")

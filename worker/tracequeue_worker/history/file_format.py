"""What a file of history says of itself, in its first line and in its last one. docs/files.md has the whole format."""

from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, Final, Literal, Self, TypeAlias, TypeVar
from uuid import UUID, uuid4

import orjson
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from tracequeue_worker.bounds import Bounds
from tracequeue_worker.errors import Damaged, OtherFile
from tracequeue_worker.history.blocks import BLOCK_BYTES, MAX_BLOCK_BYTES

VERSION: Final = 1
SUFFIX: Final = ".jsonl.zst"
PARTIAL: Final = ".partial"
"""Behind the name of a file that is being written."""
LEFT_OUT: Final = "left_out"
"""In a line that stands for a record which is too long for a file: what it was."""
MAX_RECORD_BYTES: Final = MAX_BLOCK_BYTES - BLOCK_BYTES
"""A record is added to a block that is not full yet."""
Kind: TypeAlias = Literal["frames", "rows", "ledger"]


Line = TypeVar("Line", bound=BaseModel)


class Header(BaseModel):
    """The first line: what is in the file, whence, and which of it was asked for."""

    model_config = ConfigDict(frozen=True)

    tracequeue: Kind
    version: Literal[1] = VERSION
    id: UUID = Field(default_factory=uuid4)
    """Names the file wherever it is moved or copied to."""
    written_at: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))
    by: str = Field(default_factory=lambda: f"tracequeue {version('tracequeue')}", max_length=200)
    source: list[str] = Field(max_length=10_000)
    """The streams, or the database, by their names."""
    since: str | None = None
    until: str | None = None
    rows: list[UUID] | None = None
    """Of a ledger: the files that hold the rows it speaks of."""

    @classmethod
    def read(cls, line: bytes) -> Self:
        """Raises `Damaged`."""
        try:
            value = read_object(line)
        except Damaged:
            value = {}
        if "tracequeue" not in value:
            raise OtherFile("this is no file of tracequeue's: name what `tracequeue export` or the archive wrote")
        if value.get("version") != VERSION:
            raise OtherFile(
                f"it has version {str(value.get('version'))[:20]} of the format, and this program reads version "
                f"{VERSION}: read it with the tracequeue that wrote it ({str(value.get('by'))[:100]!r}) or a newer one"
            )
        return _validated(cls, value, "its first line")

    def line(self) -> bytes:
        return orjson.dumps(self.model_dump(mode="json", exclude_none=True)) + b"\n"

    def file_name(self, first: int) -> str:
        """Sorts by time. `first` is when the first record is of, in microseconds since the epoch."""
        moment = datetime.fromtimestamp(first // 1_000_000, UTC)
        return f"{self.tracequeue}-{moment:%Y%m%dT%H%M%S}.{first // 1000 % 1000:03d}Z-{self.id.hex[:12]}{SUFFIX}"


def asked(bounds: Bounds) -> dict[str, str | None]:
    """What a header says of the bounds that were asked for."""
    since, until = bounds.since, bounds.until
    return {"since": since.text if since else None, "until": until.text if until else None}


class Trailer(BaseModel):
    """The last line: how much is in the file, so that a file that was cut short is known."""

    model_config = ConfigDict(frozen=True)

    end: Literal[True] = True
    records: int
    """Lines between the first and the last one."""
    events: int
    first: int | None
    """The times of the earliest and the latest record, in microseconds since the epoch."""
    last: int | None
    sha256: str
    """Of everything before this line, decompressed."""

    @classmethod
    def read(cls, value: dict[str, Any]) -> Self:
        """Raises `Damaged`."""
        return _validated(cls, value, "its last line")

    def line(self) -> bytes:
        return orjson.dumps(self.model_dump(mode="json")) + b"\n"


def read_object(line: bytes) -> dict[str, Any]:
    """A line as a JSON object. Raises `Damaged`."""
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise Damaged(f"a line is no JSON: {error}") from None
    if not isinstance(value, dict):
        raise Damaged("a line is no JSON object")
    return value


def text(record: dict[str, Any], name: str) -> str:
    """A text of a record. Raises `Damaged`."""
    value = record.get(name)
    if not isinstance(value, str):
        raise Damaged(f"`{name}` is no text")
    return value


def integer(record: dict[str, Any], name: str, *, most: int) -> int:
    """A count of a record. Raises `Damaged`."""
    value = record.get(name)
    if type(value) is not int or not 0 <= value <= most:
        raise Damaged(f"`{name}` is no count up to {most}")
    return value


def problem(error: ValidationError) -> str:
    """What is wrong, without the value: it may be long, or private."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    return f"{'.'.join(map(str, first['loc']))[:100] or 'it'}: {first['msg'][:200]}"


def names(ids: Sequence[UUID]) -> str:
    """Files by their ids, for a person: the beginnings, as they are in the names of files."""
    shown = ", ".join(one.hex[:12] for one in ids[:3])
    return shown if len(ids) <= 3 else f"{shown} and {len(ids) - 3} more"


def _validated(model: type[Line], value: dict[str, Any], where: str) -> Line:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise Damaged(f"{where} is not as it must be: {problem(error)}") from None

"""The worker's branch of the error tree. The three classes of failure of docs/guarantees.md are visible in it."""

from tracequeue.errors import TracequeueError


class WorkerError(TracequeueError):
    """Root of what goes wrong on the worker's side."""


class Transient(WorkerError):
    """It will pass: keep everything unacknowledged and try the same batch again, for ever.

    `may_be_a_record`: a record that ends its backend or holds it up would look like this too.
    """

    may_be_a_record = False


class Fatal(WorkerError):
    """It needs a person: acknowledge nothing, dead-letter nothing, say the cure, look again slowly."""


class Poison(WorkerError):
    """It is one record's fault: that record becomes a dead letter, its neighbours are stored.

    `line` is the number of the refused row, from 1, where the server names it.
    """

    def __init__(self, message: str, *, code: str, line: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.line = line


class MigrationError(WorkerError):
    """The schema cannot be brought to this version. The text says which file, why, and what to do."""


class RetentionError(WorkerError):
    """Old days cannot be dropped. The text says why, and what to do."""


class MissingExtra(WorkerError):
    """An optional dependency is not installed. The text says what to install."""


class Unreachable(WorkerError):
    """A server cannot be reached or refuses us at start. The text names it, without its password."""


class LoginRefused(Unreachable):
    """The server is there, and refuses us: a wrong password, no such user or database."""


class Damaged(WorkerError):
    """A file cannot be read on: cut short, altered, or of another kind. The text says which, where, and what to do."""


class OtherFile(Damaged):
    """A file that another copy of it would not mend. The text has its own cure."""

"""Somebody who takes part in the transaction of a batch, such as the checkpoint of a replay."""

from collections.abc import Sequence
from typing import Protocol

from tracequeue_worker.database import Connection
from tracequeue_worker.records import Stored


class Companion(Protocol):
    """What either raises ends the transaction, and is raised by `write`. A batch that is tried anew calls both anew."""

    async def begin(self, connection: Connection) -> None:
        """The rows are staged, and nothing is locked yet."""

    async def finish(self, connection: Connection, stored: Sequence[Stored]) -> None:
        """The rows are in; only the emitters' accounts are still to be merged. The staged rows name their frame by its
        place in `stored`."""

"""Replays in the tables of their target: begun or found unfinished, carried on batch by batch, finished."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self
from uuid import UUID, uuid4

import orjson

from tracequeue_worker.database import Connection
from tracequeue_worker.errors import WorkerError
from tracequeue_worker.replay.selection import Selection
from tracequeue_worker.replay.steps import Position
from tracequeue_worker.sinks.batch import Key
from tracequeue_worker.sql import statement


class Overtaken(WorkerError):
    """Somebody else replays the same, or our own commit went through unheard: the part is further than this batch."""


@dataclass(slots=True)
class Figures:
    """What was found in some steps."""

    done: int = 0
    frames: int = 0
    events: int = 0
    written: int = 0
    present: int = 0
    dead: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One replay."""

    replay_id: UUID
    resumed: bool

    @classmethod
    async def begin(cls, connection: Connection, source: str, selection: Selection, parts: Sequence[str]) -> Self:
        """Go on with the unfinished replay of the same source and selection, or begin one.

        One whose frames the ledger has no more is not gone on with: somebody emptied the tables. Of chosen traces the
        ledger never says anything.
        """
        await connection.execute(statement("replay_numbers_forget"))
        replay_id, resumed = None, False
        while replay_id is None:
            replay_id = await connection.fetchval(statement("replay_begin"), uuid4(), source, selection.text)
            resumed = replay_id is None
            if resumed:
                replay_id = await connection.fetchval(statement("replay_unfinished"), source, selection.text)
                if not selection.by_trace and await connection.fetchval(statement("replay_is_lost"), replay_id):
                    await connection.execute(statement("replay_finish"), replay_id)
                    replay_id = None
        await connection.execute(statement("replay_parts_add"), replay_id, parts)
        return cls(replay_id, resumed)

    async def place(self, connection: Connection, part: str) -> tuple[Position, int] | None:
        """Up to where a part is stored, and how much of it that is; None where the replay was finished by another."""
        row = await connection.fetchrow(statement("replay_place"), self.replay_id, part)
        return None if row is None else (Position.parse(row["position"]), row["done"])

    async def lock(self, connection: Connection, part: str, expected: Position) -> Mapping[str, int]:
        """Keep others from writing for this replay. Returns what is refused so far of the part, by reason.

        Raises `Overtaken` where the part is not where it is expected.
        """
        row = await connection.fetchrow(statement("replay_locked"), self.replay_id, part)
        if row is None:
            raise Overtaken("this replay was finished by another process")
        if row["position"] != expected.text:
            raise Overtaken(f"{part} is at {row['position']}, not at {expected.text}")
        refused: dict[str, int] = orjson.loads(row["dead"])
        return refused

    async def add_numbers(self, connection: Connection, numbers: Iterable[Key]) -> set[Key]:
        """Note which frames were read. Returns those that had been read before."""
        keys = sorted(set(numbers))
        if not keys:
            return set()
        columns = list(zip(*keys, strict=True))
        rows = await connection.fetch(statement("replay_numbers_known"), self.replay_id, *columns)
        await connection.execute(statement("replay_numbers_add"), self.replay_id, *columns)
        return {(row["emitter_id"], row["partition"], row["seq"]) for row in rows}

    async def advance(
        self, connection: Connection, part: str, position: Position, found: Figures, refused: Mapping[str, int]
    ) -> None:
        """Move a part on. `refused` is what had been refused before."""
        dead = Counter(found.dead) + Counter(refused)
        await connection.execute(
            statement("replay_advance"), self.replay_id, part, position.text,
            found.done, found.frames, found.events, found.written, found.present, orjson.dumps(dead).decode(),
        )  # fmt: skip

    async def finish(self, connection: Connection) -> None:
        await connection.execute(statement("replay_finish"), self.replay_id)

"""The bot's own database: one SQLite file, used from a thread so that the loop never waits for the disk."""

import asyncio
import sqlite3
from pathlib import Path
from threading import Lock
from typing import Any

from tracequeue.errors import SettingsError

SCHEMA = """
CREATE TABLE IF NOT EXISTS users (id INTEGER PRIMARY KEY, telegram_id INTEGER NOT NULL UNIQUE, name TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, telegram_id INTEGER NOT NULL, note TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS notes_of_a_person ON notes (telegram_id, id);
"""


class Database:
    """Runs one statement at a time; errors are `sqlite3.Error`. Raises `SettingsError` if the file cannot be used."""

    def __init__(self, file: Path) -> None:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
            self._connection.executescript(SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise SettingsError(f"USERS_FILE={file}: {error}: name a new file, in a folder you may write to") from error
        self._one_at_a_time = Lock()

    async def run(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run a statement in a transaction of its own, and give its rows."""
        return await asyncio.to_thread(self._run, statement, values)

    def close(self) -> None:
        with self._one_at_a_time:
            self._connection.close()

    def _run(self, statement: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        with self._one_at_a_time:
            return self._connection.execute(statement, values).fetchall()

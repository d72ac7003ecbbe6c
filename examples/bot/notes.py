"""What people asked before, for the memory agent."""

from examples.bot.database import Database

RECALL = "SELECT note FROM notes WHERE telegram_id = ? ORDER BY id DESC LIMIT ?"
KEEP = "INSERT INTO notes (telegram_id, note) VALUES (?, ?)"
FORGET = """
DELETE FROM notes WHERE telegram_id = ?1
AND id NOT IN (SELECT id FROM notes WHERE telegram_id = ?1 ORDER BY id DESC LIMIT ?2)
"""
KEPT = 20


class Notes:
    """The notes of the bot's database: the last twenty of each person."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def recall(self, telegram_id: int, limit: int) -> list[str]:
        """The newest notes about a person, oldest first."""
        rows = await self._database.run(RECALL, telegram_id, limit)
        return [note for (note,) in reversed(rows)]

    async def keep(self, telegram_id: int, note: str) -> None:
        """Keep a note, and forget the person's oldest."""
        await self._database.run(KEEP, telegram_id, note)
        await self._database.run(FORGET, telegram_id, KEPT)

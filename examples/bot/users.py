"""Who the bot knows: Telegram's id of a person, and the bot's own."""

from dataclasses import dataclass

from examples.bot.database import Database

MEET = """
INSERT INTO users (telegram_id, name) VALUES (?, ?)
ON CONFLICT (telegram_id) DO UPDATE SET name = excluded.name
RETURNING id
"""


@dataclass(frozen=True, slots=True)
class User:
    """A person. `id` is None where the storage could not say who it is."""

    telegram_id: int
    name: str
    id: int | None = None


class Users:
    """The people of the bot's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def meet(self, telegram_id: int, name: str) -> User:
        """The person with this id, who is new if never seen before. Raises `sqlite3.Error`."""
        ((own_id,),) = await self._database.run(MEET, telegram_id, name)
        return User(telegram_id, name, own_id)

"""What the reference bot keeps of people: who they are, what they asked, and what a button asks again."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiogram.types import User as TelegramUser

from examples.bot.database import Database
from examples.bot.handlers.support import Again
from examples.bot.introduction import Introduction
from examples.bot.notes import Notes
from examples.bot.questions import KEPT, Questions
from examples.bot.users import User, Users
from tracequeue.errors import SettingsError


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "new" / "bot.sqlite")
    yield database
    database.close()


async def test_a_person_is_the_same_after_a_restart_and_under_a_new_name(tmp_path: Path) -> None:
    first, second = Database(tmp_path / "bot.sqlite"), Database(tmp_path / "bot.sqlite")
    ada = await Users(first).meet(42, "Ada")
    bob = await Users(first).meet(2**52, "Bob")
    first.close()
    assert (ada, bob) == (User(42, "Ada", 1), User(2**52, "Bob", 2))
    assert await Users(second).meet(42, "Ada Lovelace") == User(42, "Ada Lovelace", 1)
    second.close()


async def test_the_last_notes_are_kept_a_persons_own_newest_last(database: Database) -> None:
    notes = Notes(database)
    await notes.keep(43, "another's")
    for number in range(25):
        await notes.keep(42, f"note {number}")
    assert await notes.recall(42, 2) == ["note 23", "note 24"]
    assert await notes.recall(42, 100) == [f"note {number}" for number in range(5, 25)]
    assert (await notes.recall(43, 2), await notes.recall(44, 2)) == (["another's"], [])


def test_a_file_that_cannot_be_used_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("this is no database, and longer than its header would be: " + "x" * 100)
    for file in (tmp_path / "file", tmp_path / "file" / "below", tmp_path):
        with pytest.raises(SettingsError, match=r"USERS_FILE=.*: name a new file"):
            Database(file)


async def introduced(database: Database, sender: TelegramUser | None) -> Any:
    """The `user` that a handler gets; None where it is not called."""

    async def handler(event: Any, data: dict[str, Any]) -> Any:
        return data["user"]

    return await Introduction()(handler, sender, {"users": Users(database), "event_from_user": sender})  # type: ignore[arg-type]


async def test_handlers_get_the_person(database: Database) -> None:
    ada = TelegramUser(id=42, is_bot=False, first_name="Ada", last_name="Lovelace")
    assert await introduced(database, ada) == User(42, "Ada Lovelace", 1)
    assert await introduced(database, None) is None


async def test_a_person_whom_the_storage_cannot_find_has_no_id(database: Database) -> None:
    database.close()
    unknown = await introduced(database, TelegramUser(id=42, is_bot=False, first_name="Ada"))
    assert (unknown, unknown.id or 0) == (User(42, "Ada", None), 0)


def test_the_last_thousand_questions_are_kept_under_keys_that_fit_a_button() -> None:
    questions = Questions()
    keys = [questions.keep(f"question {number}") for number in range(KEPT + 1)]
    assert [questions.text(key) for key in (keys[0], keys[1], keys[-1])] == [None, "question 1", f"question {KEPT}"]
    assert len(set(keys)) == KEPT + 1
    assert len(Again(question=keys[0]).pack().encode()) <= 64


def test_a_question_that_is_being_answered_is_known_as_such_until_the_end() -> None:
    questions = Questions()
    key = questions.keep("why?")
    with questions.being_answered(key):
        assert questions.is_being_answered(key)
    assert not questions.is_being_answered(key)

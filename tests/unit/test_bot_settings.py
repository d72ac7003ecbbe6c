"""The reference bot's settings: what is missing or wrong is one line with its cure, and quotes no secret."""

from typing import Any

import pytest
from pydantic import SecretStr

from examples.bot.settings import BotSettings
from tracequeue.errors import SettingsError

TOKEN = "123456:ABC-DEF"
ENOUGH = {"TELEGRAM_TOKEN": TOKEN, "ANTHROPIC_API_KEY": "sk-secret"}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets these variables, and no others that the bot reads."""
    for name in BotSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)

    def give(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return give


def test_a_token_and_a_key_are_enough(environment: Any) -> None:
    environment(**ENOUGH)
    settings = BotSettings.load()
    assert settings.telegram_token.get_secret_value() == TOKEN
    assert (settings.bot_admin_ids, settings.telegram_api_url, settings.openrouter_api_key) == (frozenset(), None, None)
    assert TOKEN not in repr(settings)
    assert "sk-secret" not in repr(settings)


@pytest.mark.parametrize(("text", "ids"), [("42", {42}), (" 42, 43 ,", {42, 43}), ("", set()), ("-7", {-7})])
def test_admins_are_separated_by_commas(environment: Any, text: str, ids: set[int]) -> None:
    environment(**ENOUGH, BOT_ADMIN_IDS=text)
    assert BotSettings.load().bot_admin_ids == ids


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"ANTHROPIC_API_KEY": "k"}, "TELEGRAM_TOKEN is not set: ask @BotFather"),
        ({"TELEGRAM_TOKEN": TOKEN}, "neither ANTHROPIC_API_KEY nor OPENROUTER_API_KEY is set: give one"),
        (ENOUGH | {"TELEGRAM_TOKEN": "secret"}, "TELEGRAM_TOKEN is no token such as 123456:ABC-DEF"),
        (ENOUGH | {"BOT_ADMIN_IDS": "Ada"}, "BOT_ADMIN_IDS must be Telegram ids separated by commas, such as 42,43"),
        (ENOUGH | {"TELEGRAM_API_URL": "example.org"}, "TELEGRAM_API_URL must start with http:// or https://"),
        (ENOUGH | {"BOT_GRACE_SECONDS": "-1"}, "BOT_GRACE_SECONDS input should be greater than or equal to 0"),
    ],
)
def test_what_is_wrong_is_one_line(environment: Any, variables: dict[str, str], said: str) -> None:
    environment(**variables)
    with pytest.raises(SettingsError) as refused:
        BotSettings.load()
    text = str(refused.value)
    assert text.startswith(said)
    assert "\n" not in text
    assert "secret" not in text


def test_keywords_win(environment: Any) -> None:
    environment(**ENOUGH)
    assert BotSettings.load(telegram_token=SecretStr("1:x")).telegram_token.get_secret_value() == "1:x"

"""The bot's settings: one frozen model, from the environment."""

from pathlib import Path
from typing import Annotated, Any, Self

from aiogram.utils.token import TokenValidationError, validate_token
from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from tracequeue.errors import SettingsError

WITHOUT_ANY = "or try the bot without any account: python -m examples.bot.with_stand_ins"


class BotSettings(BaseSettings):
    """Every field is the variable of its name in capitals. Where traces go is said by the `TRACEQUEUE_` variables."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True)

    telegram_token: SecretStr
    telegram_api_url: str | None = Field(default=None, pattern="^https?://")
    """Another Bot API server than Telegram's own."""
    anthropic_api_key: SecretStr | None = None
    anthropic_base_url: str | None = Field(default=None, pattern="^https?://")
    openrouter_api_key: SecretStr | None = None
    openrouter_base_url: str | None = Field(default=None, pattern="^https?://")
    bot_admin_ids: Annotated[frozenset[int], NoDecode] = frozenset()
    """Telegram ids, separated by commas, of those who may see traces in the chat."""
    bot_grace_seconds: float = Field(default=10.0, ge=0)
    """How long people whose pipelines run may still be answered when the bot is stopped."""
    users_file: Path = Path(".tracequeue/reference-bot.sqlite")
    """Where people and their notes are kept."""

    @classmethod
    def load(cls, **overrides: Any) -> Self:
        """Read the environment, then let keywords win. Raises `SettingsError` naming the variable and the cure."""
        try:
            return cls(**overrides)
        except ValidationError as error:
            raise _named(error) from None

    @field_validator("telegram_token")
    @classmethod
    def _is_a_token(cls, token: SecretStr) -> SecretStr:
        try:
            validate_token(token.get_secret_value())
        except TokenValidationError:
            raise ValueError("is no token such as 123456:ABC-DEF: copy it from @BotFather again") from None
        return token

    @field_validator("bot_admin_ids", mode="before")
    @classmethod
    def _separated(cls, ids: object) -> object:
        if not isinstance(ids, str):
            return ids
        try:
            return frozenset(int(one) for one in ids.split(",") if one.strip())
        except ValueError:
            raise ValueError("must be Telegram ids separated by commas, such as 42,43") from None

    @model_validator(mode="after")
    def _some_model(self) -> Self:
        if self.anthropic_api_key is None and self.openrouter_api_key is None:
            raise ValueError(f"neither ANTHROPIC_API_KEY nor OPENROUTER_API_KEY is set: give one, {WITHOUT_ANY}")
        return self


def _named(error: ValidationError) -> SettingsError:
    """One line for the first wrong setting. Values are never quoted: they may be secrets."""
    first = error.errors(include_url=False, include_input=False)[0]
    problem = first["msg"].removeprefix("Value error, ")
    if not first["loc"]:
        return SettingsError(problem)
    variable = str(first["loc"][0]).upper()
    if first["type"] == "missing":
        return SettingsError(f"{variable} is not set: ask @BotFather for a token, {WITHOUT_ANY}")
    if first["type"] == "string_pattern_mismatch":
        problem = "must start with http:// or https://"
    return SettingsError(f"{variable} {problem[:1].lower()}{problem[1:]}")

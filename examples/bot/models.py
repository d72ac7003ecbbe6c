"""Which language models the bot asks, by the settings: Claude first, OpenRouter when Claude is unavailable."""

from examples.bot.llm.claude import Claude
from examples.bot.llm.openrouter import OpenRouter
from examples.bot.llm.router import Provider, Router
from examples.bot.settings import BotSettings


def models(settings: BotSettings) -> Router:
    """Only providers whose key is set are asked."""
    providers: list[Provider] = []
    if settings.anthropic_api_key is not None:
        providers.append(Claude(settings.anthropic_api_key.get_secret_value(), settings.anthropic_base_url))
    if settings.openrouter_api_key is not None:
        providers.append(OpenRouter(settings.openrouter_api_key.get_secret_value(), settings.openrouter_base_url))
    return Router(providers)

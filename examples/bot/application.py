"""What the bot is made of, and in which order it starts and stops."""

from aiogram import Bot, Dispatcher
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer

from examples.bot.agents import Agent, Memory, Strategist, Trainer
from examples.bot.database import Database
from examples.bot.handlers import routers
from examples.bot.handlers.basics import show_menu
from examples.bot.introduction import Introduction
from examples.bot.models import models
from examples.bot.notes import Notes
from examples.bot.pipelines.configuration import PIPELINES
from examples.bot.pipelines.runner import PipelineRunner
from examples.bot.questions import Questions
from examples.bot.settings import BotSettings
from examples.bot.users import Users
from tracequeue import init_collector
from tracequeue.integrations.aiogram import install
from tracequeue_worker.settings import WorkerSettings
from tracequeue_worker.telegram import admin_router, install_alerts, trace_sources


class Application:
    """One bot. `run` may be called once."""

    def __init__(self, settings: BotSettings) -> None:
        self._settings = settings
        self._bot = Bot(settings.telegram_token.get_secret_value(), session=_session(settings.telegram_api_url))
        self._database = Database(settings.users_file)
        self._models = models(settings)
        agents: dict[str, Agent] = {
            "memory": Memory(Notes(self._database)),
            "strategist": Strategist(self._models),
            "trainer": Trainer(self._models),
        }
        self._dispatcher = Dispatcher(
            disable_fsm=True,
            users=Users(self._database),
            questions=Questions(),
            runner=PipelineRunner(PIPELINES, agents),
        )
        for observer in (self._dispatcher.message, self._dispatcher.callback_query):
            observer.outer_middleware(Introduction())
        self._dispatcher.startup.register(show_menu)
        self._dispatcher.include_routers(admin_router(admins=settings.bot_admin_ids), *routers())

    async def run(self, *, handle_signals: bool = True) -> None:
        """Answer people until SIGTERM, Ctrl-C or `stop`, and then those who are waiting. Nothing of a trace is lost.

        `install` starts and stops the collector with the dispatcher; what fails before that has its events sent too.

        Raises `SettingsError`, and aiogram's errors where Telegram refuses the bot or is away at the start.
        """
        collector = init_collector(service="reference-bot")
        install(self._dispatcher, grace_seconds=self._settings.bot_grace_seconds)
        if self._settings.bot_admin_ids:
            install_alerts(self._dispatcher, sorted(self._settings.bot_admin_ids))
        try:
            async with trace_sources(WorkerSettings.load()) as sources:
                self._dispatcher.workflow_data |= sources._asdict()
                await self._dispatcher.start_polling(self._bot, handle_signals=handle_signals)
        finally:
            await self._close()
            await collector.stop()

    async def stop(self) -> None:
        """End `run`, from the same loop. Returns when handlers in flight have ended."""
        await self._dispatcher.stop_polling()

    async def _close(self) -> None:
        await self._bot.session.close()
        await self._models.close()
        self._database.close()


def _session(telegram_api_url: str | None) -> AiohttpSession:
    if telegram_api_url is None:
        return AiohttpSession()
    return AiohttpSession(api=TelegramAPIServer.from_base(telegram_api_url))

"""The admin commands, composed: who may ask, what is answered, and what happens when a server is away."""

import logging
import re
from collections.abc import Collection

from aiogram import Bot, Dispatcher, F, Router
from aiogram.filters import Command, CommandObject
from aiogram.types import Message

from tracequeue_worker.telegram.access import FromAdmin, ask_for_private_chat
from tracequeue_worker.telegram.answers import send
from tracequeue_worker.telegram.arguments import parsed
from tracequeue_worker.telegram.commands.cost import cost
from tracequeue_worker.telegram.commands.dlq import Ask, ask_first, dlq, leave, retry, show_one
from tracequeue_worker.telegram.commands.failed import failed
from tracequeue_worker.telegram.commands.lag import lag
from tracequeue_worker.telegram.commands.slow import slow
from tracequeue_worker.telegram.commands.trace import Payloads, payloads, trace
from tracequeue_worker.telegram.commands.traces import Turn, traces, turn
from tracequeue_worker.telegram.commands.why import why
from tracequeue_worker.telegram.lines import line
from tracequeue_worker.telegram.menu import COMMANDS, Menus
from tracequeue_worker.telegram.outages import PATIENT, report_outages
from tracequeue_worker.telegram.shown import heading

TAPPED = re.compile(r"trace_([0-9a-f]{32})")
"""A trace as lists have it: a command that can be tapped."""
UNTRACED = {"trace": False}
"""For `tracequeue.integrations.aiogram`: who looks at traces should not find looking among them."""

log = logging.getLogger(__name__)


def admin_router(*, admins: Collection[int]) -> Router:
    """The commands, for these Telegram ids, in the private chat with the bot; for others they are not there. `/why` may
    be asked in a group too, and is answered in private.

    It reads `dispatcher["trace_repo"]`, and for `/lag` and `/dlq` also `dispatcher["trace_streams"]`. Include it before
    routers that take any message. Raises `ValueError` for an id that is nobody's.
    """
    if strange := [admin for admin in admins if not isinstance(admin, int) or admin <= 0]:
        raise ValueError(f"admins are the Telegram ids of people, numbers such as 42, not {strange[0]!r}")
    menus = Menus(admins)
    router = Router(name="tracequeue admin")
    router.startup.register(menus.publish)
    router.startup.register(_warn_of_others)
    router.include_routers(_in_private(admins, menus), _in_groups(admins))
    return router


async def _warn_of_others(dispatcher: Dispatcher | None = None) -> None:
    if dispatcher is not None and dispatcher.message.handlers:
        log.warning("handlers of the dispatcher itself come before the admin commands and may take them: use a Router")


def _in_private(admins: Collection[int], menus: Menus) -> Router:
    router = Router(name="tracequeue admin in private")
    for observer in (router.message, router.callback_query):
        observer.filter(FromAdmin(admins))
        observer.middleware(report_outages)
    router.message.middleware(menus.make_up_for)
    _register_commands(router)
    _register_buttons(router)
    return router


def _in_groups(admins: Collection[int]) -> Router:
    router = Router(name="tracequeue admin in groups")
    router.message.filter(FromAdmin(admins, privately=False))
    router.message.middleware(ask_for_private_chat)
    router.message.middleware(report_outages)
    router.message.register(why, Command("why", ignore_case=True), flags=UNTRACED)
    return router


async def admin(message: Message, command: CommandObject, bot: Bot) -> None:
    parsed(command.args, takes=())
    lines = [line(f"/{name} ", text) for name, text in COMMANDS.items()]
    await send(bot, message.chat.id, [heading("Commands for admins"), *lines])


def _register_commands(router: Router) -> None:
    router.message.register(admin, Command("admin", ignore_case=True), flags=UNTRACED)
    router.message.register(traces, Command("traces", ignore_case=True), flags=UNTRACED)
    router.message.register(trace, Command("trace", TAPPED, ignore_case=True), flags=UNTRACED)
    router.message.register(why, Command("why", ignore_case=True), flags=UNTRACED)
    router.message.register(slow, Command("slow", ignore_case=True), flags=UNTRACED)
    router.message.register(failed, Command("failed", ignore_case=True), flags=UNTRACED)
    router.message.register(cost, Command("cost", ignore_case=True), flags=UNTRACED)
    router.message.register(lag, Command("lag", ignore_case=True), flags=UNTRACED)
    router.message.register(dlq, Command("dlq", ignore_case=True), flags=UNTRACED)


def _register_buttons(router: Router) -> None:
    router.callback_query.register(turn, Turn.filter(), flags=UNTRACED)
    router.callback_query.register(payloads, Payloads.filter(), flags=UNTRACED)
    router.callback_query.register(show_one, Ask.filter(F.wish == "show"), flags=UNTRACED)
    router.callback_query.register(ask_first, Ask.filter(F.wish == "ask"), flags=UNTRACED)
    router.callback_query.register(retry, Ask.filter(F.wish == "retry"), flags=UNTRACED | {PATIENT: True})
    router.callback_query.register(leave, Ask.filter(F.wish == "leave"), flags=UNTRACED)

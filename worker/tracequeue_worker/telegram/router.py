"""The admin commands, composed: who may ask, what is answered, and what happens when a server is away."""

import re
from collections.abc import Collection

from aiogram import Bot, F, Router
from aiogram.filters import Command
from aiogram.types import Message

from tracequeue_worker.telegram.access import FromAdmin
from tracequeue_worker.telegram.answers import send
from tracequeue_worker.telegram.commands.cost import cost
from tracequeue_worker.telegram.commands.dlq import Ask, ask_first, dlq, leave, retry, show_one
from tracequeue_worker.telegram.commands.failed import failed
from tracequeue_worker.telegram.commands.lag import lag
from tracequeue_worker.telegram.commands.slow import slow
from tracequeue_worker.telegram.commands.trace import Payloads, payloads, trace
from tracequeue_worker.telegram.commands.traces import Turn, traces, turn
from tracequeue_worker.telegram.commands.why import why, why_in_group
from tracequeue_worker.telegram.lines import line
from tracequeue_worker.telegram.menu import COMMANDS, Menus
from tracequeue_worker.telegram.outages import PATIENT, report_outages
from tracequeue_worker.telegram.shown import heading

TAPPED = re.compile(r"trace_([0-9a-f]{32})")
"""A trace as lists have it: a command that can be tapped."""
UNTRACED = {"trace": False}
"""For `tracequeue.integrations.aiogram`: who looks at traces should not find looking among them."""


def admin_router(*, admins: Collection[int]) -> Router:
    """The commands, for these Telegram ids, in the private chat with the bot; for others they are not there. `/why` may
    be asked in a group too, and is answered in private.

    It reads `dispatcher["trace_repo"]`, and for `/lag` and `/dlq` also `dispatcher["trace_streams"]`. Include it before
    routers that take any message. Raises `TypeError` if an id is no number.
    """
    if strange := [admin for admin in admins if not isinstance(admin, int)]:
        raise TypeError(f"admins are Telegram ids, numbers such as 42, not {strange[0]!r}")
    menus = Menus(admins)
    router = Router(name="tracequeue admin")
    router.startup.register(menus.publish)
    router.include_routers(_in_private(admins, menus), _in_groups(admins))
    return router


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
    router.message.middleware(report_outages)
    router.message.register(why_in_group, Command("why"), flags=UNTRACED)
    return router


async def admin(message: Message, bot: Bot) -> None:
    lines = [line(f"/{name} ", text) for name, text in COMMANDS.items()]
    await send(bot, message.chat.id, [heading("Commands for admins"), *lines])


def _register_commands(router: Router) -> None:
    router.message.register(admin, Command("admin"), flags=UNTRACED)
    router.message.register(traces, Command("traces"), flags=UNTRACED)
    router.message.register(trace, Command("trace", TAPPED), flags=UNTRACED)
    router.message.register(why, Command("why"), flags=UNTRACED)
    router.message.register(slow, Command("slow"), flags=UNTRACED)
    router.message.register(failed, Command("failed"), flags=UNTRACED)
    router.message.register(cost, Command("cost"), flags=UNTRACED)
    router.message.register(lag, Command("lag"), flags=UNTRACED)
    router.message.register(dlq, Command("dlq"), flags=UNTRACED)


def _register_buttons(router: Router) -> None:
    router.callback_query.register(turn, Turn.filter(), flags=UNTRACED)
    router.callback_query.register(payloads, Payloads.filter(), flags=UNTRACED)
    router.callback_query.register(show_one, Ask.filter(F.wish == "show"), flags=UNTRACED)
    router.callback_query.register(ask_first, Ask.filter(F.wish == "ask"), flags=UNTRACED)
    router.callback_query.register(retry, Ask.filter(F.wish == "retry"), flags=UNTRACED | {PATIENT: True})
    router.callback_query.register(leave, Ask.filter(F.wish == "leave"), flags=UNTRACED)

"""Inline keyboards: what Telegram asks of them."""

from collections.abc import Mapping
from typing import Any, Final

from examples.bot.stand_ins.telegram.messages import Keyboard
from examples.bot.stand_ins.telegram.refusals import bad_request

CALLBACK_DATA_BYTES: Final = 64
BUTTONS: Final = 100
OTHER_KEYBOARDS: Final = {"keyboard", "remove_keyboard", "force_reply"}
ACTIONS: Final = {
    "url", "callback_data", "web_app", "login_url", "switch_inline_query", "switch_inline_query_current_chat",
    "switch_inline_query_chosen_chat", "copy_text", "callback_game", "pay",
}  # fmt: skip


def inline_keyboard(markup: object) -> Keyboard:
    """The rows of a `reply_markup`; none for none, and for the other kinds, which are no part of a message.

    Raises `Refusal` for what Telegram would not show.
    """
    if markup is None:
        return ()
    if not isinstance(markup, Mapping):
        raise bad_request("object expected as reply markup")
    if markup.keys() & OTHER_KEYBOARDS:
        return ()
    rows = markup.get("inline_keyboard", [])
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise bad_request("can't parse reply keyboard markup JSON object")
    keyboard = tuple(tuple(checked_button(button) for button in row) for row in rows if row)
    if sum(len(row) for row in keyboard) > BUTTONS:
        raise bad_request("reply markup is too long")
    return keyboard


def checked_button(button: object) -> dict[str, Any]:
    if not isinstance(button, dict):
        raise bad_request("can't parse inline keyboard button: InlineKeyboardButton must be an Object")
    if not isinstance(button.get("text"), str):
        raise bad_request("can't parse inline keyboard button: Can't find field \"text\"")
    if not button["text"].strip():
        raise bad_request("inline keyboard button text is empty")
    if not button.keys() & ACTIONS:
        raise bad_request("can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard")
    if len(str(button.get("callback_data", "")).encode()) > CALLBACK_DATA_BYTES:
        raise bad_request("BUTTON_DATA_INVALID")
    return dict(button)

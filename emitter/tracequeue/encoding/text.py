"""Text that Postgres takes: no NUL, no lone surrogate, bounded; also of errors whose own methods raise."""

import re
import traceback
from collections.abc import Iterator
from itertools import islice
from typing import Final

UNSAFE: Final = re.compile("[\x00\ud800-\udfff]")
"""`jsonb` and `text` refuse NUL; surrogates have no UTF-8 form. A Python str never holds a true pair."""
REPLACEMENT: Final = "\ufffd"
ELLIPSIS: Final = "…"
MAX_ERROR_BYTES: Final = 4_096
MAX_STACKTRACE_BYTES: Final = 16_384
MAX_FRAMES: Final = 50
MAX_CHAIN: Final = 5
"""Errors followed along `__cause__` and `__context__`."""


def cleaned(text: str) -> tuple[str, int]:
    """The text without NUL and lone surrogates, and how many there were. Asking UTF-8 first is ten times faster."""
    if "\x00" not in text:
        try:
            text.encode()
        except UnicodeEncodeError:
            pass
        else:
            return text, 0
    return UNSAFE.subn(REPLACEMENT, text)


def clean_text(text: str, max_chars: int) -> str:
    """The text without NUL and lone surrogates, at most `max_chars` long; a cut one ends in an ellipsis."""
    head = str.__getitem__(text, slice(max_chars))
    if str.__len__(text) > max_chars:
        head = head[: max_chars - 1] + ELLIPSIS
    return cleaned(head)[0]


def cut_json_text(data: bytes, room: int) -> bytes:
    """A JSON string cut to `room` bytes with an ellipsis, between characters, never inside an escape."""
    end = f'{ELLIPSIS}"'.encode()
    head = data[: room - len(end)].decode("utf-8", "ignore").encode()
    last = head.rfind(b"\\", max(len(head) - len(rb"\u001"), 0))
    if last >= 0:
        run = last + 1 - len(head[: last + 1].rstrip(b"\\"))
        whole = len(rb"\u001f" if head[last + 1 : last + 2] == b"u" else rb"\n")
        if run % 2 and len(head) - last < whole:
            head = head[:last]
    return head + end


def type_name(value: object) -> str:
    """The name of a value's class, whatever its metaclass answers."""
    name: str = type.__dict__["__name__"].__get__(type(value))
    return clean_text(name, 200)


def error_text(error: BaseException, max_bytes: int = MAX_ERROR_BYTES) -> str:
    """`ValueError: message`, at most `max_bytes` long in UTF-8. Raises nothing but `KeyboardInterrupt`."""
    name = type_name(error)
    try:
        message = clean_text(str(error), max_bytes)
    except KeyboardInterrupt:
        raise
    except BaseException as failure:  # a user's `__str__` may raise anything
        message = f"[no message: {type_name(failure)}]"
    return _head(f"{name}: {message}" if message else name, max_bytes)


def stacktrace_text(error: BaseException, max_bytes: int = MAX_STACKTRACE_BYTES) -> str:
    """The traceback without local variables, causes first; where it is too long, its end is kept."""
    try:
        blocks = [_block(link) for link in _chain(error)]
    except KeyboardInterrupt:
        raise
    except BaseException as failure:  # frames of generated code, loaders that raise, a stack that is nearly full
        blocks = [f"[no traceback: {type_name(failure)}]"]
    return _tail(clean_text("\n".join(reversed(blocks)), MAX_CHAIN * MAX_STACKTRACE_BYTES), max_bytes)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what led to it, nearest first."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen and len(seen) < MAX_CHAIN:
        seen.add(id(link))
        yield link
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)


def _block(error: BaseException) -> str:
    stack = traceback.extract_tb(error.__traceback__, limit=-MAX_FRAMES)
    lines = "".join(islice(stack.format(), MAX_FRAMES))
    return _tail(lines, MAX_STACKTRACE_BYTES // 2) + error_text(error)


def _head(text: str, max_bytes: int) -> str:
    data = text.encode()
    if len(data) <= max_bytes:
        return text
    return data[: max_bytes - len(ELLIPSIS.encode())].decode("utf-8", "ignore") + ELLIPSIS


def _tail(text: str, max_bytes: int) -> str:
    data = text.encode("utf-8", "replace")
    if len(data) <= max_bytes:
        return text
    return ELLIPSIS + data[len(data) - max_bytes + len(ELLIPSIS.encode()) :].decode("utf-8", "ignore")

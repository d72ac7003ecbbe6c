"""Binary data as text: UTF-8 where it is that, else base64; of a large one only as much as can be shown."""

import base64
import codecs
import re
from typing import Final, NamedTuple

CONTROLS: Final = re.compile("[\x00-\x08\x0e-\x1f\x7f]")


class BinaryText(NamedTuple):
    """`form` is `text` or `base64`; `shown` of `size` bytes are in the text."""

    text: str
    form: str
    shown: int
    size: int


def binary_text(value: bytes | bytearray | memoryview, room: int) -> BinaryText:
    """The data, or its beginning, in about `room` characters."""
    view = memoryview(value).cast("B")
    head = bytes(view[:room])
    text = _readable(head)
    if text is not None:
        return BinaryText(text, "text", len(head), view.nbytes)
    head = head[: max((room - len('""')) // 4 * 3, 0)]
    return BinaryText(base64.b64encode(head).decode(), "base64", len(head), view.nbytes)


def _readable(data: bytes) -> str | None:
    """The bytes as text if they are UTF-8 (perhaps cut inside a character) without control characters."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(data)
    except UnicodeDecodeError:
        return None
    return None if CONTROLS.search(text) else text

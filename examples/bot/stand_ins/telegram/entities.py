"""Telegram's HTML: what is inside tags becomes entities over plain text, and what it does not know is refused.

https://core.telegram.org/bots/api#html-style; offsets and lengths of entities count UTF-16 code units, and the
offsets in refusals bytes of UTF-8, as on the real server.
"""

import re
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from examples.bot.stand_ins.telegram.refusals import bad_request

TYPES: Final = {
    "a": "text_link", "b": "bold", "strong": "bold", "i": "italic", "em": "italic", "u": "underline",
    "ins": "underline", "s": "strikethrough", "strike": "strikethrough", "del": "strikethrough", "span": "spoiler",
    "tg-spoiler": "spoiler", "tg-emoji": "custom_emoji", "code": "code", "pre": "pre", "blockquote": "blockquote",
}  # fmt: skip
NAMED: Final = {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}
REFERENCE = re.compile(
    r"&(?:#x(?P<hex>[0-9a-fA-F]{1,6})|#(?P<decimal>[0-9]{1,7})|(?P<name>lt|gt|amp|quot)(?![a-zA-Z]));?"
)
ATTRIBUTE = re.compile(r"""([^\s=>/"']+)\s*(?:=\s*("[^"]*"|'[^']*'|[A-Za-z0-9.-]*(?=[\s>])))?\s*""")
LINK = re.compile(r"[a-z][a-z0-9+-]*://\S|\S+\.\S", re.IGNORECASE)
"""What may stand in `href`: anything else makes no link, and is no error."""
COMMAND = re.compile(r"(?<![\w/])/[A-Za-z0-9_]{1,32}(?:@\w+)?")


class Formatted(NamedTuple):
    """Plain text and what it is said to look like."""

    text: str
    entities: tuple[dict[str, Any], ...]


class OpenTag(NamedTuple):
    """A tag that waits for its end."""

    name: str
    attributes: dict[str, str]
    offset: int
    start: int
    """Where its text begins in the plain text."""


def parsed_html(source: str) -> Formatted:
    """The text without its tags, trimmed. Raises `Refusal` for what Telegram cannot parse."""
    return trimmed(HtmlReader(source).read())


def commands_in(text: str) -> tuple[dict[str, Any], ...]:
    """The entities that Telegram adds by itself to commands in what people say."""
    return tuple(
        {"type": "bot_command", "offset": units(text[: found.start()]), "length": units(found[0])}
        for found in COMMAND.finditer(text)
    )


def units(text: str) -> int:
    """The length in UTF-16 code units."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def trimmed(formatted: Formatted) -> Formatted:
    """Without white space around, as Telegram stores every text."""
    text = formatted.text.strip()
    ahead = units(formatted.text[: len(formatted.text) - len(formatted.text.lstrip())])
    kept = []
    for entity in formatted.entities:
        start = max(entity["offset"] - ahead, 0)
        end = min(entity["offset"] + entity["length"] - ahead, units(text))
        if end > start:
            kept.append({**entity, "offset": start, "length": end - start})
    return Formatted(text, tuple(kept))


@dataclass(slots=True)
class HtmlReader:
    """Goes through a text from tag to tag."""

    source: str
    position: int = 0
    plain: str = ""
    open: list[OpenTag] = field(default_factory=list)
    entities: list[dict[str, Any]] = field(default_factory=list)

    def read(self) -> Formatted:
        while (tag := self.source.find("<", self.position)) >= 0:
            self.plain += dereferenced(self.source[self.position : tag])
            self.position = tag
            if self.source.startswith("</", tag):
                self._end_tag()
            else:
                self._start_tag()
        self.plain += dereferenced(self.source[self.position :])
        if self.open:
            raise unparsable(f'Can\'t find end tag corresponding to start tag "{self.open[-1].name}"')
        return Formatted(self.plain, tuple(sorted(self.entities, key=lambda one: (one["offset"], -one["length"]))))

    def _start_tag(self) -> None:
        found = re.compile(r"<([^\s>]*)(?=[\s>])\s*").match(self.source, self.position)
        if found is None:
            raise unparsable(f"Unclosed start tag at byte offset {self._byte}")
        name = found[1].lower()
        if name not in TYPES:
            raise unparsable(f'Unsupported start tag "{name}" at byte offset {self._byte}')
        attributes, end = self._attributes(name, found.end())
        if name == "span" and attributes.get("class") != "tg-spoiler":
            raise unparsable(f'Tag "span" must have class "tg-spoiler" at byte offset {self._byte}')
        self.open.append(OpenTag(name, attributes, units(self.plain), len(self.plain)))
        self.position = end

    def _attributes(self, tag: str, position: int) -> tuple[dict[str, str], int]:
        """What a tag says beyond its name, and where the tag ends."""
        attributes: dict[str, str] = {}
        while not self.source.startswith(">", position):
            if position >= len(self.source):
                raise unparsable(f'Unclosed start tag "{tag}" at byte offset {self._byte}')
            found = ATTRIBUTE.match(self.source, position)
            if found is None:
                raise unparsable(f'Empty attribute name in the tag "{tag}" at byte offset {self._byte}')
            attributes[found[1].lower()] = dereferenced(unquoted(found[2] or ""))
            position = found.end()
        return attributes, position + 1

    def _end_tag(self) -> None:
        if not self.open:
            raise unparsable(f"Unexpected end tag at byte offset {self._byte}")
        found = re.compile(r"</([^\s>]*)\s*>").match(self.source, self.position)
        if found is None:
            raise unparsable(f"Unclosed end tag at byte offset {self._byte}")
        tag, name = self.open.pop(), found[1].lower()
        if name and name != tag.name:
            raise unparsable(
                f'Unmatched end tag at byte offset {self._byte}, expected "</{tag.name}>", found "</{name}>"'
            )
        if units(self.plain) > tag.offset:
            self._close(tag)
        self.position = found.end()

    def _close(self, tag: OpenTag) -> None:
        entity: dict[str, Any] = {"type": TYPES[tag.name], "offset": tag.offset}
        entity["length"] = units(self.plain) - tag.offset
        language = tag.attributes.get("class", "").removeprefix("language-")
        if tag.name == "a":
            entity["url"] = tag.attributes.get("href") or self.plain[tag.start :]
            if not LINK.match(entity["url"]):
                return
        elif tag.name == "tg-emoji":
            entity["custom_emoji_id"] = tag.attributes.get("emoji-id", "")
        elif tag.name == "blockquote" and "expandable" in tag.attributes:
            entity["type"] = "expandable_blockquote"
        elif tag.name == "code" and language:
            entity["language"] = language
        elif tag.name == "pre" and self.entities and is_code_within(self.entities[-1], entity):
            entity["language"] = self.entities.pop()["language"]
        self.entities.append(entity)

    @property
    def _byte(self) -> int:
        return len(self.source[: self.position].encode("utf-8", "surrogatepass"))


def unquoted(value: str) -> str:
    return value[1:-1] if value[:1] in {'"', "'"} else value


def is_code_within(code: dict[str, Any], pre: dict[str, Any]) -> bool:
    """Whether `<pre><code class="language-...">` is meant: one block in a language."""
    span = pre["offset"], pre["length"]
    return code["type"] == "code" and "language" in code and (code["offset"], code["length"]) == span


def dereferenced(text: str) -> str:
    """With `&lt;`, `&gt;`, `&amp;`, `&quot;` and numbers read; all others stay as they are."""
    return REFERENCE.sub(character, text)


def character(reference: re.Match[str]) -> str:
    if name := reference["name"]:
        return NAMED[name]
    code = int(reference["hex"], 16) if reference["hex"] else int(reference["decimal"])
    return chr(code) if 0 < code < 0x10FFFF else reference[0]


def unparsable(reason: str) -> Exception:
    return bad_request(f"can't parse entities: {reason}")

"""What a generator yields, collected for its span's output: bounded, and encoded when it passes by."""

from tracequeue.encoding import Notes, encode
from tracequeue.span import Span

LEFT_OUT = "items_left_out"


class Items:
    """Texts are joined (the chunks of a streamed answer are one answer); anything else becomes a list."""

    __slots__ = ("_left_out", "_notes", "_pieces", "_room", "_span", "_texts")

    def __init__(self, span: Span | None) -> None:
        wanted = span is not None and span.trace.captures_payload
        self._span = span if wanted else None
        self._room = span.trace.max_value_bytes if span is not None else 0
        self._texts: list[str] | None = []
        self._pieces: list[bytes] = []
        self._notes: Notes = {}
        self._left_out = 0

    def add(self, item: object) -> None:
        if self._span is None:
            return
        if self._room <= 0:
            self._left_out += 1
        elif self._texts is not None and type(item) is str:
            self._texts.append(item)
            self._room -= len(item)
        else:
            self._add_piece(item)

    def finish(self) -> None:
        """Give the span its output: what was yielded, also when the generator failed or was closed early."""
        if self._span is None:
            return
        if self._texts is not None:
            self._span.set_output("".join(self._texts))
        else:
            self._span.set_encoded_output(b"[" + b",".join(self._pieces) + b"]", self._notes)
        if self._left_out:
            self._span.note("output_data", {LEFT_OUT: self._left_out})

    def _add_piece(self, item: object) -> None:
        if self._texts is not None:
            texts, self._texts = self._texts, None
            for text in texts:
                self._encode(text)
        self._encode(item)

    def _encode(self, item: object) -> None:
        path = f"output_data[{len(self._pieces)}]"
        piece = encode(item, max(self._room, 256), path, self._notes)
        self._pieces.append(piece)
        self._room -= len(piece) + 1

"""Blocks: the zstd frames that a file of history consists of. Each is whole by itself, and has a checksum.

What was written before a crash can be read, and nothing of a block is used before all of it is known to be unaltered.
"""

import sys
from typing import BinaryIO, Final, NamedTuple

from tracequeue_worker.errors import Damaged

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

BLOCK_BYTES: Final = 1024 * 1024
"""Of content, after which a block is closed."""
MAX_BLOCK_BYTES: Final = 64 * 1024 * 1024
"""Of content: beyond it, a block is a decompression bomb."""
LEVEL: Final = 3

MAGIC: Final = b"\x28\xb5\x2f\xfd"
"""Every block begins with it."""
_CHECKSUM_FLAG: Final = 0b100
"""In the byte behind the magic number."""
_LARGEST_WINDOW: Final = 25
"""As a power of two: so much memory a block may ask for while it is decompressed."""
_CHUNK: Final = 256 * 1024
_OPTIONS: Final[dict[int, int]] = {
    zstd.CompressionParameter.compression_level: LEVEL,
    zstd.CompressionParameter.checksum_flag: 1,
}


class Block(NamedTuple):
    """Whole lines, and where in the file the block begins and ends."""

    content: bytes
    start: int
    end: int

    @property
    def lines(self) -> list[bytes]:
        """Without their ends."""
        return self.content[:-1].split(b"\n")


def compressed(content: bytes) -> bytes:
    """A block of whole lines."""
    return zstd.compress(content, options=_OPTIONS)


def read_block(file: BinaryIO, start: int) -> Block | None:
    """The block at an offset; None at the end of the file. Raises `Damaged` with the offset, and `OSError`."""
    file.seek(start)
    chunk = file.read(_CHUNK)
    if not chunk:
        return None
    _check_head(chunk, start)
    decompressor = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _LARGEST_WINDOW})
    content = bytearray()
    taken = 0
    while True:
        content += _decompress(decompressor, chunk, MAX_BLOCK_BYTES + 1 - len(content), start)
        taken += len(chunk)
        if len(content) > MAX_BLOCK_BYTES:
            raise Damaged(f"the block at byte {start} holds more than {MAX_BLOCK_BYTES} bytes")
        if decompressor.eof:
            break
        chunk = file.read(_CHUNK) if decompressor.needs_input else b""
        if not chunk and decompressor.needs_input:
            raise Damaged(f"it ends within the block at byte {start}")
    if not content.endswith(b"\n"):
        raise Damaged(f"the block at byte {start} does not end with a whole line")
    return Block(bytes(content), start, start + taken - len(decompressor.unused_data))


def _check_head(chunk: bytes, start: int) -> None:
    """Without its flag a checksum would be passed over."""
    if not chunk.startswith(MAGIC[: len(chunk)]):
        raise Damaged(f"what is at byte {start} is no block")
    if len(chunk) > len(MAGIC) and not chunk[len(MAGIC)] & _CHECKSUM_FLAG:
        raise Damaged(f"the block at byte {start} has no checksum")


def _decompress(decompressor: zstd.ZstdDecompressor, chunk: bytes, room: int, start: int) -> bytes:
    try:
        return decompressor.decompress(chunk, room)
    except zstd.ZstdError as error:
        raise Damaged(f"the block at byte {start} is not as it was written: {error}") from None

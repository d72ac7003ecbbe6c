"""May this Redis user do what a worker does? Asked by commands that cannot succeed, so that nothing is changed.

Redis looks at the user's rights before it looks at the arguments. So a command with an argument that makes no sense is
answered with NOPERM, or with a complaint about the argument: then it is allowed.
"""

from collections.abc import Iterator

from redis.asyncio import Redis
from redis.exceptions import NoPermissionError, ResponseError

from tracequeue_worker.streams import Membership

NO_NUMBER = b"none"
NOBODY = "tracequeue-doctor"


async def refused_commands(client: Redis, membership: Membership) -> list[str]:
    """The commands that a worker needs and this user may not use, on any of its keys."""
    refused: list[str] = []
    for stream in membership.streams:
        for command in _impossible(membership, stream):
            try:
                await client.execute_command(*command)  # type: ignore[no-untyped-call]
            except NoPermissionError:
                name = _name(command)
                if name not in refused:
                    refused.append(name)
            except ResponseError:
                continue
    return refused


def _impossible(membership: Membership, stream: bytes) -> Iterator[tuple[str | bytes, ...]]:
    """Each complains, or reads, or does nothing."""
    group, dead = membership.group, membership.dead(stream)
    receipts, tally = membership.receipts(stream, NOBODY), membership.tally(stream)
    yield "XREADGROUP", "GROUP", group, NOBODY, "STREAMS", stream, NO_NUMBER
    yield "XCLAIM", stream, group, NOBODY, NO_NUMBER, "0-0"
    yield "XPENDING", stream, group
    yield "XACK", stream, group, "0-0"
    yield "XGROUP", "CREATE", stream, group, NO_NUMBER
    yield "XGROUP", "DELCONSUMER", stream, group, NOBODY
    yield "XINFO", "STREAM", stream
    yield "XINFO", "GROUPS", stream
    yield "XINFO", "CONSUMERS", stream, group
    yield "XTRIM", stream, "MINID", "0-0"
    for key in (stream, dead):
        yield "XLEN", key
        yield "XRANGE", key, "-", "-"
        yield "XREVRANGE", key, "-", "-"
        yield "TYPE", key
        yield "EXISTS", key
    yield "XADD", dead, "0-0", "reason", "none"
    yield "XDEL", dead, "0-0"
    yield "MEMORY", "USAGE", dead
    yield "SETBIT", receipts, NO_NUMBER, "1"
    yield "GETBIT", receipts, "0"
    yield "EXPIRE", receipts, NO_NUMBER
    yield "HMGET", tally, "none"
    yield "HSET", tally, "odd", "number", "of"
    yield "HINCRBY", tally, "none", NO_NUMBER
    yield "EVALSHA", "0" * 40, "0"
    yield "SCRIPT", "LOAD", "return 1"
    yield "INFO", "server"
    yield "TIME",  # fmt: skip


def _name(command: tuple[str | bytes, ...]) -> str:
    """As an ACL writes it."""
    words = [str(word) for word in command[:2]]
    return "|".join(words) if words[0] in ("XGROUP", "XINFO", "SCRIPT", "MEMORY") else words[0]

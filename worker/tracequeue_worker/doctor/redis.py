"""Redis: does it keep what it is given, may we do what a worker does, and does anything stand in the way?"""

import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from redis.asyncio import Redis
from redis.exceptions import NoPermissionError, RedisError, ResponseError

from tracequeue_worker.backlog import read_backlog
from tracequeue_worker.doctor.archive import examine_archive_group
from tracequeue_worker.doctor.finding import Finding, Verdict, clock, size
from tracequeue_worker.doctor.redis_rights import refused_commands
from tracequeue_worker.errors import Fatal, LoginRefused, Transient
from tracequeue_worker.preflight import OLDEST, named
from tracequeue_worker.redis_client import command_client
from tracequeue_worker.settings import WorkerSettings
from tracequeue_worker.strays import cure, read_strays, shown_strays
from tracequeue_worker.streams import Membership
from tracequeue_worker.trimmer import PRESSURE, read_holders

RECOMMENDED: Final = (7, 0)
SILENT_CLAIM_TIMES: Final = 3
"""By then any living worker has taken over what a dead one held."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """What is looked at; `facts` is what INFO says, empty where this user may not ask."""

    client: Redis
    settings: WorkerSettings
    membership: Membership
    facts: dict[str, Any]


Check: TypeAlias = Callable[[Deployment], Awaitable[list[Finding]]]


async def examine_redis(settings: WorkerSettings) -> list[Finding]:
    """Every check. Raises `Unreachable`, and `LoginRefused` where the server is there."""
    url = settings.redis_url.get_secret_value()
    async with command_client(url) as client:
        try:
            await client.ping()
        except (RedisError, OSError) as error:
            refusal = named(url, error)
            raise LoginRefused(str(refusal)) if isinstance(refusal, Fatal) else refusal from None
        subject = Deployment(client, settings, Membership.of(settings), await _facts(client))
        return [finding for name, check in CHECKS.items() for finding in await _checked(name, check, subject)]


async def _facts(client: Redis) -> dict[str, Any]:
    try:
        return dict(await client.info())
    except NoPermissionError:
        return {}


async def _checked(name: str, check: Check, subject: Deployment) -> list[Finding]:
    """A check that cannot be made is a finding too."""
    try:
        return await check(subject)
    except NoPermissionError as error:
        return [
            _finding(name, "warn", f"not checked: {error}", "allow this Redis user what deploy/redis-users.acl does")
        ]
    except (RedisError, OSError, Transient, Fatal) as error:
        return [_finding(name, "fail", str(error), "look at the log of Redis, and ask again")]


async def _server(subject: Deployment) -> list[Finding]:
    facts = subject.facts
    if not facts:
        return [_finding("version", "warn", "this user may not run INFO", "allow `+info` in its ACL")]
    name = "Valkey" if "valkey_version" in facts else "Redis"
    version = str(facts.get("valkey_version") or facts.get("redis_version"))
    numbers = tuple(int(number) for number in re.findall(r"\d+", str(facts.get("redis_version")))[:2])
    found = f"{name} {version}"
    if numbers < OLDEST:
        return [_finding("version", "fail", found, "use Redis 6.2 or later; 7.0 or Valkey 7.2 is better")]
    if numbers < RECOMMENDED:
        found += " cannot tell what others delete from a stream"
        return [_finding("version", "warn", found, "use Redis 7.0 or Valkey 7.2 or later")]
    return [_finding("version", "ok", found)]


async def _role(subject: Deployment) -> list[Finding]:
    role = subject.facts.get("role", "master")
    if role == "master":
        return [_finding("role", "ok", f"primary, {subject.facts.get('connected_slaves', 0)} replicas")]
    return [_finding("role", "fail", f"a {role}: it refuses writes", "let TRACEQUEUE_REDIS_URL name the primary")]


async def _memory(subject: Deployment) -> list[Finding]:
    facts = subject.facts
    policy = str(facts.get("maxmemory_policy", "noeviction"))
    used, limit = int(facts.get("used_memory", 0)), int(facts.get("maxmemory", 0))
    cure = "run `CONFIG SET maxmemory-policy noeviction`, and set it in redis.conf"
    if policy.startswith("allkeys"):
        eviction = _finding("eviction", "fail", f"{policy}: deletes unread streams when the memory is full", cure)
    elif policy != "noeviction":
        eviction = _finding("eviction", "warn", f"{policy}: deletes receipts when the memory is full", cure)
    else:
        eviction = _finding("eviction", "ok", policy)
    if not limit:
        found = f"{size(used)} used, no limit: the machine's memory is, and a full one kills Redis"
        return [eviction, _finding("memory", "warn", found, "set maxmemory below the machine's memory")]
    found = f"{size(used)} of {size(limit)} used"
    if used < PRESSURE * limit:
        return [eviction, _finding("memory", "ok", found)]
    return [eviction, _finding("memory", "warn", found, "start more workers, raise maxmemory, or drop dead letters")]


async def _persistence(subject: Deployment) -> list[Finding]:
    facts = subject.facts
    broken = [name for name in ("rdb_last_bgsave_status", "aof_last_write_status") if facts.get(name, "ok") != "ok"]
    if broken:
        return [_finding("persistence", "fail", f"{', '.join(broken)}: not ok", "free disk space, look at Redis's log")]
    cure = "run `CONFIG SET appendonly yes`, and set it in redis.conf"
    if not facts.get("aof_enabled", 0):
        return [_finding("persistence", "warn", "no appendonly file: a restart loses what is not settled", cure)]
    return [_finding("persistence", "ok", "appendonly file")]


async def _rights(subject: Deployment) -> list[Finding]:
    refused = await refused_commands(subject.client, subject.membership)
    if not refused:
        return [_finding("rights", "ok", "all that a worker does is allowed")]
    cure = f"allow it in the ACL: {' '.join('+' + name.lower() for name in refused)}; see deploy/redis-users.acl"
    return [_finding("rights", "fail", f"refused: {', '.join(refused)}", cure)]


async def _groups(subject: Deployment) -> list[Finding]:
    membership, missing = subject.membership, []
    if wrong := await _no_streams(subject):
        cure = "rename these keys, or set another TRACEQUEUE_PREFIX"
        return [_finding("group", "fail", f"no streams: {', '.join(wrong)}", cure)]
    for stream in membership.streams:
        groups = await subject.client.xinfo_groups(stream) if await subject.client.exists(stream) else []
        if membership.group.encode() not in [group["name"] for group in groups]:
            missing.append(stream.decode())
    if missing:
        found = f"group {membership.group} is not there yet on {', '.join(missing[:5])}"
        return [_finding("group", "warn", found, "start a worker: it makes the group, at the stream's beginning")]
    return [_finding("group", "ok", f"{membership.group}, partitions: {len(membership.streams)}")]


async def _no_streams(subject: Deployment) -> list[str]:
    """Keys of ours that hold something else."""
    keys = [key for stream in subject.membership.streams for key in (stream.decode(), subject.membership.dead(stream))]
    return [key for key in keys if await subject.client.type(key) not in (b"stream", b"none")]


async def _backlog(subject: Deployment) -> list[Finding]:
    backlogs = await read_backlog(subject.client, subject.membership)
    waiting = sum(one.unread + one.pending for one in backlogs)
    oldest = max((one.oldest_seconds or 0.0 for one in backlogs), default=0.0)
    if waiting and oldest > subject.settings.stall_seconds:
        found = f"frames waiting: {waiting}, the oldest for {oldest:.0f} s"
        return [
            _finding("backlog", "warn", found, "start workers, or more; those that run say at /readyz what is wrong")
        ]
    return [_finding("backlog", "ok", f"frames waiting: {waiting}")]


async def _other_partitions(subject: Deployment) -> list[Finding]:
    """Whether bots send to streams that no worker reads."""
    if strays := await read_strays(subject.client, subject.membership):
        return [_finding("other partitions", "fail", shown_strays(strays), cure(strays))]
    return [_finding("other partitions", "ok", f"frames wait nowhere but in our {len(subject.membership.streams)}")]


async def _dead_letters(subject: Deployment) -> list[Finding]:
    letters = sum([await subject.client.xlen(subject.membership.dead(one)) for one in subject.membership.streams])
    if letters:
        return [_finding("dead letters", "warn", f"{letters} kept", "see why: `tracequeue dlq list`")]
    return [_finding("dead letters", "ok", "none")]


async def _streams(subject: Deployment) -> list[Finding]:
    used = entries = 0
    for stream in subject.membership.streams:
        entries += await subject.client.xlen(stream)
        for key in (stream, subject.membership.dead(stream)):
            used += int(await subject.client.memory_usage(key) or 0)
    return [_finding("streams", "ok", f"{entries} entries, {size(used)} with the dead letters")]


async def _consumers(subject: Deployment) -> list[Finding]:
    """Of a consumer that is gone for good nobody speaks: workers remove it once it has nothing pending."""
    silence = subject.settings.min_idle_ms * SILENT_CLAIM_TIMES
    silent, living = [], 0
    for stream in subject.membership.streams:
        try:
            consumers = await subject.client.xinfo_consumers(stream, subject.membership.group)
        except ResponseError:  # no such stream, or no such group: said above
            continue
        living += sum(one["idle"] < silence for one in consumers)
        silent += [one for one in consumers if one["idle"] >= silence and one["pending"]]
    if silent and not living:
        pending = sum(one["pending"] for one in silent)
        found = f"frames pending: {pending}, for workers that are gone, and none is there to take them over"
        return [_finding("workers", "warn", found, "start a worker")]
    return [_finding("workers", "ok", f"{living} seen within {silence / 1000:.0f} s")]


async def _forgotten_groups(subject: Deployment) -> list[Finding]:
    holders = await read_holders(subject.client, subject.membership, subject.settings.keep_stream_seconds)
    return [
        _finding(
            "other groups",
            "warn",
            f"group {one.group!r} of {one.stream} is {one.seconds / 3600:.1f} h behind: nothing younger is trimmed",
            one.cure,
        )
        for one in holders
    ] or [_finding("other groups", "ok", "none blocks trimming")]


async def _clock(subject: Deployment) -> list[Finding]:
    before = time.time()
    seconds, microseconds = await subject.client.time()
    return [clock("redis", seconds + microseconds / 1e6 - (before + time.time()) / 2)]


CHECKS: Final[dict[str, Check]] = {
    "version": _server,
    "role": _role,
    "memory": _memory,
    "persistence": _persistence,
    "rights": _rights,
    "group": _groups,
    "backlog": _backlog,
    "other partitions": _other_partitions,
    "dead letters": _dead_letters,
    "streams": _streams,
    "workers": _consumers,
    "other groups": _forgotten_groups,
    "archive": lambda subject: examine_archive_group(subject.client, subject.membership, subject.settings),
    "clock": _clock,
}


def _finding(check: str, verdict: Verdict, found: str, cure: str = "") -> Finding:
    return Finding("redis", check, verdict, found, cure)

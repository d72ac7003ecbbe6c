"""What the doctor finds: nothing on servers as they should be, and each thing that is spoilt on purpose."""

import os
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from redis.asyncio import Redis

from tests.fixtures.access import PostgresAccess, RedisAccess, shipped_users, with_login
from tests.fixtures.examined import all_findings, changed, finding
from tests.fixtures.frames import frame, span
from tests.fixtures.oracle import Site
from tests.fixtures.own_servers import OwnServer
from tests.fixtures.polling import eventually
from tests.fixtures.servers import free_port
from tracequeue.keys import dead_key, events_key
from tracequeue_worker.doctor import Finding, examine
from tracequeue_worker.doctor.redis_rights import refused_commands
from tracequeue_worker.redis_client import command_client
from tracequeue_worker.streams import Membership

SECRET = "s3cret-w0rd"


async def test_servers_as_they_should_be(
    site: Site, own_redis: OwnServer, own_postgres: OwnServer, tmp_path: Path
) -> None:
    for server, options in (
        (own_redis, ("--appendonly", "yes", "--maxmemory", "200mb")),
        (own_postgres, ("-c", "fsync=on")),
    ):
        server.stop()
        server.start(*options)
    site.redis_url, site.database_url = own_redis.url, own_postgres.url
    await site.drain()
    spool = tmp_path / "spool"
    spool.mkdir()
    examination = await examine(site.settings(), {"TRACEQUEUE_SPOOL_DIR": str(spool)})
    assert [one for one in examination.findings if one.verdict != "ok"] == []
    assert (examination.away, examination.failed) == ({}, False)
    assert len({(one.subject, one.check) for one in examination.findings}) == len(examination.findings) > 20


async def test_it_changes_nothing(site: Site) -> None:
    key, letters = events_key(site.prefix, 0), dead_key(site.prefix, 0)
    await site.redis.xadd(key, frame(span()))
    await site.redis.xgroup_create(key, "persist", id="0")
    await site.redis.xreadgroup("persist", "someone", {key: ">"})
    await site.redis.xadd(letters, {"reason": "schema"})

    async def state() -> Any:
        keys = sorted([one async for one in site.redis.scan_iter(f"*{site.prefix}*")])
        groups, pending = await site.redis.xinfo_groups(key), await site.redis.xpending(key, "persist")
        stream, consumers = await site.redis.xinfo_stream(key), await site.redis.xinfo_consumers(key, "persist")
        return keys, groups, pending, stream, [one["name"] for one in consumers], await site.redis.xlen(letters)

    before = await state()
    await all_findings(site)
    assert await state() == before


async def test_an_empty_redis_stays_empty(site: Site) -> None:
    group = await finding(site, "redis", "group")
    assert (group.verdict, "start a worker" in group.cure) == ("warn", True)
    assert [one async for one in site.redis.scan_iter(f"*{site.prefix}*")] == []


@pytest.mark.parametrize(
    ("policy", "verdict"), [("allkeys-lru", "fail"), ("volatile-ttl", "warn"), ("noeviction", "ok")]
)
async def test_eviction(site: Site, policy: str, verdict: str) -> None:
    async with changed(site, **{"maxmemory-policy": policy}):
        eviction = await finding(site, "redis", "eviction")
    assert (eviction.verdict, "noeviction" in eviction.cure + eviction.found) == (verdict, True)


async def test_a_nearly_full_redis(site: Site) -> None:
    used = (await site.redis.info("memory"))["used_memory"]
    async with changed(site, maxmemory=str(int(used * 1.1))):
        assert (await finding(site, "redis", "memory")).verdict == "warn"
    async with changed(site, maxmemory=str(used * 10)):
        assert (await finding(site, "redis", "memory")).verdict == "ok"


async def test_a_redis_that_forgets(site: Site) -> None:
    forgets = await finding(site, "redis", "persistence")
    assert (forgets.verdict, "CONFIG SET appendonly yes" in forgets.cure) == ("warn", True)
    async with changed(site, appendonly="yes"):
        assert (await finding(site, "redis", "persistence")).verdict == "ok"


async def test_a_replica(site: Site, own_redis: OwnServer) -> None:
    async with Redis.from_url(own_redis.url) as client:
        await client.replicaof("127.0.0.1", free_port())
    site.redis_url = own_redis.url
    role = await finding(site, "redis", "role")
    assert (role.verdict, "primary" in role.cure) == ("fail", True)


async def test_the_shipped_users_may_do_what_a_worker_does(
    site: Site, access: RedisAccess, logins: PostgresAccess
) -> None:
    site.redis_url, site.database_url = access.worker, logins.worker
    await site.drain()
    findings = await all_findings(site)
    assert [one for one in findings.values() if "not checked" in one.found] == []
    assert findings["redis", "rights"].verdict == findings["postgres", "rights"].verdict == "ok"
    assert "writes as tracequeue_writer" in findings["postgres", "rights"].found
    assert await access.refusals() == []


async def test_each_right_of_the_shipped_worker_is_asked_for(site: Site, access: RedisAccess) -> None:
    user = urlsplit(access.worker).username
    commands = [rule[1:] for rule in shipped_users()["worker"] if rule.startswith("+")]
    async with command_client(access.worker) as client:
        for command in set(commands) - {"hello", "auth", "ping", "select"}:
            await site.redis.execute_command("ACL", "SETUSER", user, f"-{command}")
            refused = await refused_commands(client, Membership.of(site.settings()))
            assert [one.lower() for one in refused] == [command]
            await site.redis.execute_command("ACL", "SETUSER", user, f"+{command}")


async def test_rights_that_lack_in_redis_are_named(site: Site, access: RedisAccess) -> None:
    site.redis_url = access.reader
    rights = await finding(site, "redis", "rights")
    assert rights.verdict == "fail"
    for command in ("XREADGROUP", "XACK", "XADD", "XTRIM", "XGROUP|CREATE", "SETBIT", "HSET"):
        assert command in rights.found
        assert f"+{command.lower()}" in rights.cure
    assert "XRANGE" not in rights.found


async def test_a_key_of_another_type(site: Site) -> None:
    await site.redis.set(dead_key(site.prefix, 0), "text")
    group = await finding(site, "redis", "group")
    assert (group.verdict, "TRACEQUEUE_PREFIX" in group.cure) == ("fail", True)


async def test_what_waits_and_what_is_dead(site: Site) -> None:
    old = int((time.time() - 3600) * 1000)
    await site.redis.xadd(events_key(site.prefix, 0), frame(span()), id=f"{old}-0")
    await site.redis.xadd(dead_key(site.prefix, 0), {"reason": "schema"})
    findings = await all_findings(site)
    assert findings["redis", "backlog"].verdict == findings["redis", "dead letters"].verdict == "warn"
    assert "frames waiting: 1, the oldest for 36" in findings["redis", "backlog"].found
    assert "dlq list" in findings["redis", "dead letters"].cure


async def test_frames_of_workers_that_are_gone(site: Site) -> None:
    key = events_key(site.prefix, 0)
    await site.redis.xadd(key, frame(span()))
    await site.redis.xgroup_create(key, "persist", id="0")
    await site.redis.xreadgroup("persist", "gone", {key: ">"})
    assert (await finding(site, "redis", "workers")).verdict == "ok"

    async def gone() -> str:
        workers = await finding(site, "redis", "workers")
        return workers.found if workers.verdict == "warn" else ""

    assert "frames pending: 1" in await eventually(gone)


async def test_a_forgotten_group_is_named_with_the_cure(site: Site) -> None:
    key, old = events_key(site.prefix, 0), int((time.time() - 3 * 86_400) * 1000)
    await site.redis.xadd(key, frame(span()), id=f"{old}-0")
    await site.redis.xgroup_create(key, "persist", id="$")
    await site.redis.xgroup_create(key, "forgotten", id="0")
    groups = await finding(site, "redis", "other groups")
    assert (groups.verdict, f"XGROUP DESTROY {key} forgotten" in groups.cure) == ("warn", True)


async def test_a_wrong_password_is_a_failed_check_and_nobody_sees_it(site: Site, redis_client: Redis) -> None:
    await redis_client.execute_command("ACL", "SETUSER", "tq-doctor", "on", ">right", "~*", "+@all")
    site.redis_url = with_login(site.redis_url, "tq-doctor", SECRET)
    site.database_url = with_login(site.database_url, "postgres", SECRET)
    findings = await all_findings(site)
    assert {one for one in findings if one[0] != "here"} == {("redis", "login"), ("postgres", "login")}
    assert all(one.verdict == "fail" and SECRET not in str(one) for one in findings.values() if one.check == "login")
    assert "TRACEQUEUE_DATABASE_URL" in findings["postgres", "login"].cure
    assert "TRACEQUEUE_REDIS_URL" in findings["redis", "login"].cure


async def test_a_server_that_is_away_does_not_hide_the_other(site: Site) -> None:
    site.redis_url = f"redis://:{SECRET}@127.0.0.1:{free_port()}/0"
    examination = await examine(site.settings(), {})
    assert list(examination.away) == ["redis"]
    assert SECRET not in str(examination)
    assert {one.subject for one in examination.findings} == {"postgres", "here"}


async def test_the_folder_of_the_spool(site: Site, tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    environment = {"TRACEQUEUE_SPOOL_DIR": str(folder), "TRACEQUEUE_SPOOL_BYTES": str(2**20)}

    async def spool() -> Finding:
        return await finding(site, "here", "spool", **environment)

    assert (await spool()).found == f"{folder} will be made when it is needed"
    assert not folder.exists()
    folder.mkdir()
    (folder / "a.spool").write_bytes(bytes(100))
    assert (await spool()).verdict == "ok"
    (folder / "a.spool").write_bytes(bytes(2**20 - 10))
    assert (await spool()).verdict == "warn"
    (folder / "a.spool").write_bytes(bytes(100))
    os.utime(folder / "a.spool", (0, time.time() - 3600))
    left = await finding(site, "here", "left in the spool", **environment)
    assert (left.verdict, left.found) == ("warn", "files waiting: 1, the oldest last written 60 minutes ago")

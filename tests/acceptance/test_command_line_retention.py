"""`tracequeue retention` as it is typed: what it prints, and how it ends."""

import asyncio

import asyncpg

from tests.fixtures.access import PostgresAccess
from tests.fixtures.command import Command
from tests.fixtures.old_days import DAYS, day

SPANS, TRACES = f"pipeline_spans_{day(100):%Y%m%d}", f"pipeline_traces_{day(100):%Y%m%d}"


def prepare(url: str, *statements: str) -> None:
    """A partition of a hundred days ago, and what else is asked for."""

    async def work() -> None:
        connection = await asyncpg.connect(url)
        for one in (f"SELECT pipeline_ensure_partition('{day(100)}')", *statements):
            await connection.execute(one)
        await connection.close()

    asyncio.run(work())


def test_it_says_what_it_would_do_then_does_it_and_then_has_nothing_to_do(
    command: Command, migrated_database_url: str
) -> None:
    prepare(
        migrated_database_url,
        f"INSERT INTO pipeline_traces (trace_id, start_time, pipeline_name) "
        f"SELECT gen_random_uuid(), '{day(100)} 12:00Z', 'p' FROM generate_series(1, 500); ANALYZE pipeline_traces",
        "INSERT INTO pipeline_frames (emitter_id, partition, seq, digest, stream, entry_id, events, committed_at) "
        "SELECT gen_random_uuid(), 0, 1, '', 's', '1-1', 1, now() - interval '100 days' FROM generate_series(1, 7)",
    )
    foreseen = command("retention", "--days", str(DAYS), "--dry-run")
    assert foreseen.code == 0
    head, *rows = [line.split() for line in foreseen.out.splitlines()]
    assert head == ["day", "partition", "rows,", "about", "disk"]
    assert [row[:3] for row in rows] == [[f"{day(100)}", SPANS, "0"], [f"{day(100)}", TRACES, "500"]]
    assert f"days before {day(DAYS)}: 2 partitions would be dropped, " in foreseen.err
    assert "of disk would be given back; 7 frames would be pruned from the ledger, 0 replays" in foreseen.err
    done = command("retention", "--json", TRACEQUEUE_RETENTION_DAYS=str(DAYS))
    assert done.code == 0
    document = done.document
    assert [one["name"] for one in document["dropped"]] == [SPANS, TRACES]
    assert (document["dry_run"], document["left"], document["frames"], document["busy"]) == (False, [], 7, False)
    assert document["bytes"] == sum(one["bytes"] for one in document["dropped"]) > 50_000
    nothing = command("retention", "--days", str(DAYS))
    assert (nothing.code, nothing.out) == (0, "")
    assert f"days before {day(DAYS)}: 0 partitions dropped, 0 B of disk given back" in nothing.err


def test_days_must_be_said(command: Command) -> None:
    answer = command("retention")
    assert (answer.code, answer.out) == (2, "")
    assert "--days N, or TRACEQUEUE_RETENTION_DAYS" in " ".join(answer.err.replace("│", " ").split())
    assert command("retention", "--days", "0").code == 2
    assert command("retention", TRACEQUEUE_RETENTION_DAYS="many").code == 2


def test_what_cannot_be_dropped_is_said_and_it_ends_with_1(command: Command, migrated_database_url: str) -> None:
    """The day of traces is half detached, and somebody reads the table in a transaction that does not end."""
    prepare(migrated_database_url)

    async def work() -> None:
        reader = await asyncpg.connect(migrated_database_url)
        async with reader.transaction():
            await reader.execute("LOCK TABLE pipeline_traces IN ACCESS SHARE MODE")
            answer = await asyncio.to_thread(command, "retention", "--days", str(DAYS))
            assert answer.code == 1
            assert f"{TRACES} stays: a program (pid {reader.get_server_pid()}) uses pipeline_traces" in answer.err
            assert "1 partition dropped" in answer.err
        await reader.close()

    asyncio.run(work())
    assert command("retention", "--days", str(DAYS)).code == 0


def test_without_the_rights_of_the_owner(command: Command, logins: PostgresAccess) -> None:
    answer = command("retention", "--days", str(DAYS), TRACEQUEUE_DATABASE_URL=logins.worker)
    assert (answer.code, answer.out) == (1, "")
    assert answer.err == (
        "tracequeue: only the owner of the tables may drop days of them: let TRACEQUEUE_DATABASE_URL name the login "
        "that runs `tracequeue migrate`\n"
    )


def test_without_a_server(alone: Command) -> None:
    url = "postgresql://127.0.0.1:1/none"
    answer = alone("retention", "--days", str(DAYS), TRACEQUEUE_DATABASE_URL=url)
    assert (answer.code, answer.out) == (3, "")
    assert "PostgreSQL at 127.0.0.1:1/none" in answer.err

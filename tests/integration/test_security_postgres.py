"""The shipped logins of Postgres: the worker stores and no more, the reader reads and no more, a bot needs none."""

import asyncpg
import pytest

from tests.fixtures.access import POSTGRES_LOGINS, PostgresAccess
from tests.fixtures.oracle import Site

REFUSED_TO_THE_WORKER = """
DELETE FROM pipeline_spans; DELETE FROM pipeline_traces; DELETE FROM pipeline_frames; DELETE FROM pipeline_emitters
TRUNCATE pipeline_spans; DROP TABLE pipeline_spans
UPDATE pipeline_spans SET error = 'x'; CREATE TABLE public.mine ()
CREATE ROLE mine; ALTER ROLE postgres PASSWORD 'x'; SELECT pg_read_file('/etc/passwd'); COPY pipeline_spans TO '/tmp/x'
COPY pipeline_spans TO PROGRAM 'cat'; SET ROLE postgres; ALTER SYSTEM SET port = 1
GRANT tracequeue_writer TO pg_monitor
"""
REFUSED_TO_THE_READER = (
    REFUSED_TO_THE_WORKER
    + """
INSERT INTO pipeline_emitters (emitter_id) VALUES (gen_random_uuid()); UPDATE pipeline_traces SET error = 'x'
UPDATE pipeline_frames SET dead = '[]'; SELECT pipeline_ensure_partition('2001-02-03'); SET ROLE tracequeue_writer
"""
)


async def allowed(url: str, statements: str) -> list[str]:
    """Those of the statements that are not refused for want of rights."""
    done = []
    connection = await asyncpg.connect(url)
    try:
        for statement in filter(None, statements.replace("\n", ";").split(";")):
            try:
                await connection.execute(statement)
            except asyncpg.InsufficientPrivilegeError:
                continue
            except asyncpg.PostgresError as error:
                done.append(f"{statement}: {error}")
            else:
                done.append(statement)
    finally:
        await connection.close()
    return done


@pytest.mark.parametrize(("role", "statements"), [("worker", REFUSED_TO_THE_WORKER), ("reader", REFUSED_TO_THE_READER)])
async def test_each_login_can_do_nothing_but_its_work(
    site: Site, logins: PostgresAccess, role: str, statements: str
) -> None:
    bot = site.bot()
    bot.burst(3)
    await bot.stop()
    await site.drain(database_url=logins.worker)
    assert await allowed(getattr(logins, role), statements) == []
    await site.assert_account_closes(bot)


async def test_the_file_may_be_run_again_and_a_login_without_a_password_is_none(
    logins: PostgresAccess, database: asyncpg.Connection
) -> None:
    await database.execute(POSTGRES_LOGINS.read_text())
    await database.execute("ALTER ROLE tracequeue_reader_login PASSWORD NULL")
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(logins.reader)
    await database.execute("DROP ROLE tracequeue_reader_login")
    await database.execute(POSTGRES_LOGINS.read_text())
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(logins.reader)

"""`audit --digests`: what a database holds, by day and table, so that two can be compared."""

from datetime import date

from tracequeue_worker.audit.digests import digests
from tracequeue_worker.cli.connections import database
from tracequeue_worker.cli.output import print_json, print_lines, run, say
from tracequeue_worker.settings import WorkerSettings

DAY_SECONDS = 3_600.0
"""How long the server may read the rows of one day."""


def print_digests(since: date | None, until: date | None, as_json: bool) -> None:
    """A line for each day and table, or one document. Lines come as they are found, made for `diff`."""

    async def work() -> list[dict[str, object]]:
        found = []
        async with database(WorkerSettings.load(), deadline=DAY_SECONDS) as pool:
            async for one in digests(pool, since, until):
                found.append(one.model_dump(mode="json"))
                if not as_json:
                    print_lines(f"{one.day} {one.table:<6} {one.rows:>12} {one.digest}")
        return found

    found = run(work)
    if as_json:
        print_json({"digests": found})
    elif not found:
        say("there are no rows")

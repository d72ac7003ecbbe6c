"""A real process that watches, says when it has something to tell, and stands still there, to be killed."""

import asyncio
import sys
from datetime import timedelta

from tracequeue_worker.alerts.lookout import Lookout
from tracequeue_worker.alerts.rules import AlertRules
from tracequeue_worker.alerts.shared import SharedMemory
from tracequeue_worker.alerts.watchman import Watchman
from tracequeue_worker.redis_client import command_client
from tracequeue_worker.settings import WorkerSettings


async def stand_still(chat: int, html: str) -> bool:
    sys.stdout.write(f"{chat} {html.splitlines()[0]}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()
    return True


async def main(chat: int, lease: timedelta) -> None:
    settings = WorkerSettings.load()
    client = command_client(settings.redis_url.get_secret_value())
    rules = AlertRules()
    shared = SharedMemory(client, settings.prefix, lease=lease)
    lookout = Lookout(client, settings, rules)
    await Watchman(lookout, shared, [chat], stand_still, rules=rules, interval=timedelta(seconds=1)).run()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), timedelta(seconds=float(sys.argv[2]))))

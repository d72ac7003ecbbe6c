"""`python -m examples.bot`: the bot, against the services that the environment names."""

import asyncio
import sys
from collections.abc import Callable
from typing import Final

from aiogram.exceptions import TelegramAPIError, TelegramUnauthorizedError

from examples.bot.application import Application
from examples.bot.logs import set_up_logging
from examples.bot.settings import BotSettings
from tracequeue.errors import SettingsError
from tracequeue_worker.errors import WorkerError

USAGE, UNREACHABLE, INTERRUPTED = 2, 3, 130
NOT_KNOWN: Final = "Telegram does not know this TELEGRAM_TOKEN: copy it from @BotFather again"


def main() -> int:
    """Run until SIGTERM or Ctrl-C. Gives the exit code."""
    set_up_logging()
    return reported(lambda: asyncio.run(Application(BotSettings.load()).run()))


def reported(work: Callable[[], None]) -> int:
    """Do the work. What may go wrong at the start is one line on stderr, and an exit code."""
    try:
        work()
    except SettingsError as error:
        return _failed(USAGE, str(error))
    except TelegramUnauthorizedError:
        return _failed(USAGE, NOT_KNOWN)
    except TelegramAPIError as error:
        return _failed(UNREACHABLE, f"{error.message}: check the network, or TELEGRAM_API_URL, and start again")
    except WorkerError as error:
        return _failed(UNREACHABLE, str(error))
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def _failed(code: int, line: str) -> int:
    sys.stderr.write(f"{line}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())

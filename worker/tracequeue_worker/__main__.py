"""The command `tracequeue`. A bot's environment has it too, without what it needs: then it says what to install."""

import gc
import sys

USAGE_ERROR = 2
CURE = 'the command tracequeue needs more than a bot does ({missing} is missing): pip install "tracequeue[worker]"'
REQUIRED = ("asyncpg", "prometheus_client", "pydantic_settings", "pythonjsonlogger", "rich", "typer")
"""What the extra `worker` brings, by the names that are imported."""


def main() -> None:
    """Run the command line. Exits with 2 where the extra `worker` is not installed."""
    gc.disable()  # all that is imported stays: looking for garbage in it took a third of a short command's time
    try:
        from tracequeue_worker.cli import app  # noqa: PLC0415
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in REQUIRED:
            raise
        print(CURE.format(missing=missing), file=sys.stderr)  # noqa: T201
        sys.exit(USAGE_ERROR)
    gc.freeze()
    gc.enable()
    app()


if __name__ == "__main__":
    main()

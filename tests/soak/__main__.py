"""`python -m tests.soak --seconds 600 --seed 7 --report docs/soak.md`: exits with 1 if anything was lost or doubled."""

import argparse
import asyncio
import random
import signal
import sys
import tempfile
from pathlib import Path

from tests.soak.deployment import Plan
from tests.soak.program import Hangs
from tests.soak.report import report
from tests.soak.run import Soak


def main() -> int:
    chosen = arguments()
    target: Path | None = chosen.pop("report")
    plan = Plan(**chosen)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    say(f"seed {plan.seed}")
    soak = Soak(plan, say)
    with tempfile.TemporaryDirectory(prefix="tracequeue-soak-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)  # Postgres may run as another user
        try:
            verdict = asyncio.run(soak.run(Path(folder)))
        except KeyboardInterrupt:
            say("stopped: everything is ended, nothing is judged")
            return 130
        except Hangs as error:
            say(str(error))
            return 2
    text = report(soak, verdict)
    say(text)
    if target is not None:
        target.write_text(text)
    return 1 if verdict.complaints else 0


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def arguments() -> dict[str, object]:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    usual = Plan(seconds=60, seed=0)
    parser.add_argument("--seconds", type=float, default=usual.seconds, help="how long the faults go on")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000), help="decides the faults")
    parser.add_argument("--bots", type=int, default=usual.bots)
    parser.add_argument("--workers", type=int, default=usual.workers)
    parser.add_argument("--rate", type=float, default=usual.rate, help="spans a second of each bot")
    parser.add_argument("--calm", type=float, default=usual.calm, help="seconds between faults of a kind, on average")
    parser.add_argument("--servers", choices=["embedded", "debian"], default=usual.servers)
    parser.add_argument("--report", type=Path, help="write the report to this file")
    return vars(parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())

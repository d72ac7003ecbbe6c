"""Fault 48: bots and workers under random faults of every kind at once, and then the account of every event."""

import random
from pathlib import Path

from tests.soak.deployment import Plan
from tests.soak.run import Soak


async def test_a_short_soak(servers: str, tmp_path: Path) -> None:
    """What it prints, the seed first, is shown when it fails; `make soak` makes the long one."""
    plan = Plan(seconds=20, seed=random.randrange(1_000_000), rate=200, calm=1, patience=200, servers=servers)
    soak = Soak(plan, print)
    print(plan)  # noqa: T201
    verdict = await soak.run(tmp_path)
    assert verdict.complaints == []
    assert verdict.spans > 0
    assert soak.faults.total() > 0

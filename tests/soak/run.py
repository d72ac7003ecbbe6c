"""A soak from start to verdict: faults of every kind at once, then all is healed, and every event is looked for."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.fixtures.polling import eventually
from tests.soak.deployment import Deployment, Plan, deployed
from tests.soak.faults import FAULTS, Fault
from tests.soak.judge import Verdict, judge
from tests.soak.program import Hangs


@dataclass
class Soak:
    """One run. `say` gets a line for everything that happens."""

    plan: Plan
    say: Callable[[str], None]
    faults: Counter[str] = field(default_factory=Counter)
    versions: dict[str, str] = field(default_factory=dict)
    phase: str = "start"
    _began: float = 0.0

    async def run(self, folder: Path) -> Verdict:
        """Raises `Hangs`, with what does, when it takes too long."""
        self._began = time.monotonic()
        async with deployed(self.plan, folder) as site:
            try:
                async with asyncio.timeout(self.plan.seconds + self.plan.patience):
                    return await self._in_phases(site)
            except (TimeoutError, AssertionError, ExceptionGroup) as error:
                raise Hangs(f"stuck in the phase '{self.phase}': {error!r}\n{await site.state()}") from error

    async def _in_phases(self, site: Deployment) -> Verdict:
        self._enter("start")
        self.versions = await versions(site)
        for worker in site.workers:
            await site.start_worker(worker)
        for bot in site.bots:
            await site.start_bot(bot)
        self._enter("faults")
        end = time.monotonic() + self.plan.seconds
        async with asyncio.TaskGroup() as lanes:
            for target, faults in FAULTS.items():
                lanes.create_task(self._attack(site, target, faults, end))
        self._enter("stop the bots")
        await site.revive(*site.bots)
        for bot in site.bots:
            await site.stop(bot)
        self._enter("drain")
        await self._empty_the_spool(site)
        await self._settle(site)
        self._enter("retry what was refused")
        await site.command("dlq", "retry", "--all")
        await self._settle(site)
        self._enter("stop the workers")
        for worker in site.workers:
            await site.stop(worker)
        self._enter("judge")
        return await judge(site)

    async def _attack(self, site: Deployment, target: str, faults: Mapping[str, Fault], end: float) -> None:
        """One fault of a target after another, each kind once before any comes again."""
        chance = Random(f"{self.plan.seed} {target}")
        while True:
            for name in chance.sample(list(faults), len(faults)):
                pause = self.plan.calm * chance.uniform(0.5, 1.5)
                if time.monotonic() + pause >= end:
                    await asyncio.sleep(max(0.0, end - time.monotonic()))
                    return
                await asyncio.sleep(pause)
                if target == "processes":
                    await site.revive(*site.bots, *site.workers)
                self._tell(name)
                self.faults[name] += 1
                await faults[name](site, chance)

    async def _empty_the_spool(self, site: Deployment) -> None:
        """What killed bots left is sent by whoever comes next."""
        if not site.spool_is_empty():
            await site.start_bot(site.bots[0], rate=0)
            await eventually(site.spool_is_empty, self.plan.patience)
            await site.stop(site.bots[0])

    async def _settle(self, site: Deployment) -> None:
        async def settled() -> bool:
            await site.revive(*site.workers)
            return await site.settled()

        await eventually(settled, self.plan.patience)

    def _enter(self, phase: str) -> None:
        self.phase = phase
        self._tell(f"-- {phase}")

    def _tell(self, what: str) -> None:
        self.say(f"{time.monotonic() - self._began:7.1f} s  {what}")


async def versions(site: Deployment) -> dict[str, str]:
    """Of the servers."""
    async with site.client() as client:
        info = await client.info("server")
    async with site.connected() as connection:
        postgres = await connection.fetchval("SHOW server_version")
    redis = f"Valkey {info['valkey_version']}" if "valkey_version" in info else f"Redis {info['redis_version']}"
    return {"redis": redis, "postgres": f"PostgreSQL {postgres.split()[0]}"}

"""All benchmarks, or those named: `python -m benchmarks [NAME ...]`. Figures compare within one run only."""

import sys
from importlib import import_module

from benchmarks import peers
from benchmarks.results import keep, machine, table

NAMES = (
    *("hot_path", "limits", "bot_cpu", "stall", "drain", "end_to_end", "agenta", "redis_memory", "latency"),
    "worker_memory",
    "growth",
)
BY_HAND = ("bot_memory", "decoding", "encoder", "many_workers", "replay", "storage")
"""These print figures of their own, without a budget."""


def main() -> None:
    chosen = sys.argv[1:] or NAMES
    unknown = set(chosen) - {*NAMES, *BY_HAND}
    if unknown:
        sys.exit(f"no benchmark named {', '.join(sorted(unknown))}; there are {', '.join(NAMES + BY_HAND)}")
    about, figures = machine(), []
    print(f"{about['python']}, {about['system']}, {about['cores']} cores, load {about['load_before']}")
    if gone := [name for family, names in peers.FAMILIES.items() if not peers.there(family) for name in names]:
        print(f"not measured, for they are not here: {', '.join(gone)}; `make bench-peers` brings them")
    for name in chosen:
        print(f"\n== {name}", flush=True)
        program = import_module(f"benchmarks.{name}")
        if name in BY_HAND:
            program.main()
        else:
            figures += program.measure()
    if figures:
        print(f"\n{table(figures)}")
    if set(chosen) == set(NAMES):
        print(f"\nkept in benchmarks/results/{keep(figures, about).name}")


if __name__ == "__main__":
    main()

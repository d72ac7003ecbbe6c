"""Variables that look like misspelt settings: nothing reads them, so somebody has to say it."""

from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches

from tracequeue.settings import PREFIX

LIKENESS = 0.8
"""Settings that differ on purpose are less alike: `LINGER_MS` and `BATCH_LINGER_MS` 0.75."""


def misspelt(environment: Mapping[str, str], fields: Collection[str]) -> Iterator[str]:
    """A line for each variable that is no field's but nearly is; others of the prefix may belong to someone else."""
    known = [field.upper() for field in fields]
    for variable in sorted(environment):
        name = variable.removeprefix(PREFIX)
        if variable.startswith(PREFIX) and name not in known:
            for near in get_close_matches(name, known, n=1, cutoff=LIKENESS):
                yield f"{variable} is no setting: is it {PREFIX}{near}?"

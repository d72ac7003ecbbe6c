"""Fixtures by subject, in `tests/fixtures`."""

pytest_plugins = [
    "tracequeue.testing",
    "tests.fixtures.servers",
    "tests.fixtures.redis",
    "tests.fixtures.postgres",
    "tests.fixtures.sink",
    "tests.fixtures.command",
]

"""Fixtures by subject, in `tests/fixtures`."""

pytest_plugins = ["tests.fixtures.servers", "tests.fixtures.redis", "tests.fixtures.postgres"]

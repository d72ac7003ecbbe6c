"""Fixtures by subject, in `tests/fixtures`."""

import signal

# In the background of a script (`make test &`) it is ignored, and children would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

pytest_plugins = [
    "tracequeue.testing",
    "tests.fixtures.servers",
    "tests.fixtures.redis",
    "tests.fixtures.postgres",
    "tests.fixtures.sink",
    "tests.fixtures.command",
]

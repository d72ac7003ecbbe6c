"""Fixtures by subject, in `tests/fixtures`."""

import signal

import hypothesis

# In the background of a script (`make test &`) it is ignored, and children would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

pytest_plugins = [
    "tracequeue.testing",
    "tests.fixtures.servers",
    "tests.fixtures.redis",
    "tests.fixtures.postgres",
    "tests.fixtures.sink",
    "tests.fixtures.stream",
    "tests.fixtures.command",
    "tests.fixtures.oracle",
    "tests.fixtures.audits",
    "tests.fixtures.replays",
    "tests.fixtures.bot_process",
    "tests.fixtures.access",
    "tests.fixtures.tls",
    "tests.fixtures.own_servers",
    "tests.fixtures.telegram",
    "tests.fixtures.alerting",
    "tests.fixtures.administration",
    "tests.fixtures.stored",
]

# How slow a machine is decides nothing: not how long an example may take, nor how long making one may.
hypothesis.settings.register_profile("tests", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("tests")

"""How the address of a Redis is told."""

import pytest

from tracequeue_worker.preflight import address_of


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://:secret@cache:7000", "cache:7000"),
        ("rediss://ada:secret@cache/0", "cache:6379"),
        ("redis://cache/3", "cache:6379/3"),
        ("redis://cache/3?db=4", "cache:6379/4"),
        ("unix:///run/redis.sock", "/run/redis.sock"),
        ("unix://ada:secret@/run/redis.sock?db=2", "/run/redis.sock/2"),
    ],
)
def test_an_address_tells_server_and_database_and_no_secret(url: str, address: str) -> None:
    assert address_of(url) == address

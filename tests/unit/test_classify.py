"""The list of error classes in docs/guarantees.md, row by row."""

import asyncio

import asyncpg
import pytest
import redis.exceptions as redis_errors

from tracequeue.errors import FrameRejected
from tracequeue_worker.classify import MESSAGE_LENGTH, classify, failure, message_of
from tracequeue_worker.errors import Fatal, Poison, Transient


def server_error(sqlstate: str, message: str = "no", **fields: str) -> asyncpg.PostgresError:
    """What asyncpg raises for an error message of the server."""
    codes = {"constraint": "n", "detail": "D"}
    wire = {"S": "ERROR", "C": sqlstate, "M": message} | {codes[name]: value for name, value in fields.items()}
    error = asyncpg.PostgresError.new(wire)
    assert isinstance(error, asyncpg.PostgresError)
    return error


TRANSIENT = (
    *("08000", "08003", "08006", "40001", "40P01", "53000", "53100", "53200", "53300", "57014"),
    *("57P01", "57P02", "57P03", "58000", "58030", "55000", "55006", "55P03", "25006", "25P02"),
    *("25P03", "26000", "42P05", "XX000", "99999"),
)
POISON = ("22000", "22003", "22007", "22008", "22021", "22P02", "22P05", "23502", "54000", "54001")
FATAL = ("42P01", "42703", "42501", "42601", "28000", "28P01", "3D000", "3F000", "0A000", "23503", "21000")


@pytest.mark.parametrize("sqlstate", TRANSIENT)
def test_sqlstates_that_pass(sqlstate):
    assert classify(server_error(sqlstate)) is Transient


@pytest.mark.parametrize("sqlstate", POISON)
def test_sqlstates_of_one_record(sqlstate):
    assert classify(server_error(sqlstate)) is Poison


@pytest.mark.parametrize("sqlstate", FATAL)
def test_sqlstates_that_need_a_person(sqlstate):
    assert classify(server_error(sqlstate)) is Fatal


def test_a_check_has_a_name_and_a_missing_partition_has_none():
    assert classify(server_error("23514", constraint="pipeline_spans_status")) is Poison
    assert classify(server_error("23514")) is Fatal


def test_a_duplicate_of_one_of_our_keys_is_no_poison():
    assert classify(server_error("23505", constraint="somebody_elses_index")) is Poison
    assert classify(server_error("23505", constraint="pipeline_spans_20261101_pkey")) is Transient


def test_a_stale_plan_is_cured_by_a_new_connection():
    assert classify(asyncpg.InvalidCachedStatementError("cached plan must not change result type")) is Transient


@pytest.mark.parametrize(
    "error",
    [
        OSError(), ConnectionResetError(), TimeoutError(), asyncio.CancelledError(),
        asyncpg.InterfaceError("closed"), asyncpg.InternalClientError("unexpected"), asyncpg.ProtocolError("?"),
        redis_errors.ConnectionError("gone"), redis_errors.TimeoutError(), redis_errors.BusyLoadingError("loading"),
        redis_errors.ReadOnlyError("demoted"), redis_errors.OutOfMemoryError("full"),
        redis_errors.MasterDownError("MASTERDOWN"), redis_errors.ClusterDownError("CLUSTERDOWN"),
        redis_errors.TryAgainError("TRYAGAIN"), redis_errors.ResponseError("BUSY a script runs"),
        redis_errors.ResponseError("MISCONF cannot persist"), redis_errors.ResponseError("NOREPLICAS too few"),
        redis_errors.ResponseError("NOGROUP no such group"), redis_errors.ResponseError("UNBLOCKED the key is gone"),
        Exception("never seen before"), Transient("already known"),
    ],
)  # fmt: skip
def test_errors_that_pass(error):
    assert classify(error) is Transient


@pytest.mark.parametrize(
    "error",
    [
        UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"), OverflowError(), TypeError(),
        ValueError(), RecursionError(), FrameRejected("schema", "no"), Poison("known", code="encoding"),
    ],
)  # fmt: skip
def test_errors_of_one_record(error):
    assert classify(error) is Poison


@pytest.mark.parametrize(
    "error",
    [
        redis_errors.AuthenticationError("wrong password"), redis_errors.AuthorizationError("no"),
        redis_errors.NoPermissionError("this user may not"), redis_errors.ResponseError("NOPERM this user may not"),
        redis_errors.ResponseError("WRONGTYPE Operation against a key holding the wrong kind of value"),
        redis_errors.ResponseError("NOAUTH Authentication required."), redis_errors.ResponseError("CROSSSLOT Keys"),
        redis_errors.ResponseError("Protocol error: unauthenticated multibulk length"),
        redis_errors.ClusterCrossSlotError("Keys"), Fatal("known"),
    ],
)  # fmt: skip
def test_errors_that_need_a_person(error):
    assert classify(error) is Fatal


def test_the_text_is_one_bounded_line_without_what_the_server_quotes_of_the_row():
    error = server_error("23502", "null value\nin column", detail="Failing row contains (a secret).")
    assert message_of(error) == "null value in column (23502)"
    assert len(message_of(ValueError("x" * 10_000))) == MESSAGE_LENGTH


@pytest.mark.parametrize(
    ("sqlstate", "kind", "cure"),
    [("42P01", Fatal, "tracequeue migrate"), ("28P01", Fatal, "password"), ("53100", Transient, "disk space")],
)
def test_a_failure_says_the_cure(sqlstate, kind, cure):
    error = failure(server_error(sqlstate))
    assert isinstance(error, kind)
    assert cure in str(error)

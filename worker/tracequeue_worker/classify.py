"""Error -> transient, poison or fatal, by the tables of docs/guarantees.md. What is unknown is transient."""

from typing import TypeAlias

import asyncpg
import redis.exceptions

from tracequeue.errors import FrameRejected
from tracequeue_worker.errors import Fatal, Poison, Transient

Verdict: TypeAlias = type[Transient] | type[Poison] | type[Fatal]

MESSAGE_LENGTH = 300

BY_TYPE: list[tuple[type[BaseException], Verdict]] = [
    (Transient, Transient),
    (Poison, Poison),
    (Fatal, Fatal),
    (FrameRejected, Poison),
    # A statement prepared before the schema changed: SQLSTATE 0A000, but a new connection cures it.
    (asyncpg.InvalidCachedStatementError, Transient),
    # Authentication is a subclass of a connection error in redis-py.
    (redis.exceptions.AuthenticationError, Fatal),
    (redis.exceptions.AuthorizationError, Fatal),
    (redis.exceptions.AuthenticationWrongNumberOfArgsError, Fatal),
    (redis.exceptions.NoPermissionError, Fatal),
    (redis.exceptions.ClusterCrossSlotError, Fatal),
    (OSError, Transient),
    (asyncpg.InterfaceError, Transient),
    (asyncpg.InternalClientError, Transient),
    # Raised while a record is encoded for the server.
    (UnicodeEncodeError, Poison),
    (OverflowError, Poison),
    (TypeError, Poison),
    (ValueError, Poison),
    (RecursionError, Poison),
]
"""The first match decides, so the special stands before the general."""

BY_SQLSTATE: dict[str, Verdict] = {
    "23502": Poison,
    "23514": Poison,
    "23505": Poison,
    "23503": Fatal,
    "21000": Fatal,
    "42P05": Transient,
}
"""Exact codes, before their class."""

BY_SQLSTATE_CLASS: dict[str, Verdict] = {
    "22": Poison,
    "54": Poison,
    "42": Fatal,
    "28": Fatal,
    "3D": Fatal,
    "3F": Fatal,
    "0A": Fatal,
}

BY_REDIS_CODE: dict[str, Verdict] = {
    "NOAUTH": Fatal,
    "WRONGPASS": Fatal,
    "NOPERM": Fatal,
    "WRONGTYPE": Fatal,
    "CROSSSLOT": Fatal,
}
"""The first word of a Redis error reply."""

NO_RIGHT_IN_A_SCRIPT = ("The user executing the script", "ACL failure in script")
"""How Redis and Valkey say NOPERM of a command that a script ran."""

SERVER_STATE = ("08", "23", "25", "26", "40", "42", "53", "55", "57", "58")
"""Transient classes that say how the server is, or who else is at work: no record causes them by itself."""
MAY_BE_A_RECORD = ("08003", "08006", "57014", "57P01", "57P02")
"""Of these classes: the connection broke, the statement took too long, the backend was ended or crashed."""

REDIS_CURES: list[tuple[type[BaseException], str, str]] = [
    (redis.exceptions.AuthenticationError, "NOAUTH", "check the user and the password in TRACEQUEUE_REDIS_URL"),
    (redis.exceptions.AuthorizationError, "WRONGPASS", "check the user and the password in TRACEQUEUE_REDIS_URL"),
    (redis.exceptions.NoPermissionError, "NOPERM", "give this user the rights that docs/security.md lists"),
    (redis.exceptions.ResponseError, "WRONGTYPE", "another program uses this key: choose another TRACEQUEUE_PREFIX"),
    (redis.exceptions.ResponseError, "MISCONF", "free some disk space for the snapshots of Redis"),
    (redis.exceptions.OutOfMemoryError, "OOM", "raise the maxmemory of Redis"),
]
"""redis-py gives some errors a class and takes their first word away; where it does not, that word is here."""

UNAUTHENTICATED = "Protocol error: unauthenticated"
"""So Redis 7 refuses a command of more than ten words before a password is given, instead of asking for one."""

OUR_KEYS = ("pipeline_spans", "pipeline_traces", "pipeline_frames", "pipeline_emitters")

CURES: dict[str, str] = {
    "42501": "run `tracequeue migrate` as the owner of the tables, it grants the rights",
    "42": "run `tracequeue migrate`",
    "28": "check the user and the password in TRACEQUEUE_DATABASE_URL",
    "3D": "create it, or check the database name in TRACEQUEUE_DATABASE_URL",
    "3F": "run `tracequeue migrate`",
    "23514": "a daily partition is missing: run `tracequeue migrate`",
    "25006": "the server is read only: it was demoted, or it is a replica",
    "53100": "free some disk space on the database server",
    "53300": "raise max_connections, or run fewer workers",
}
"""By SQLSTATE, else by its class."""


def classify(error: BaseException) -> Verdict:
    """Whose fault it is: nobody's (transient), one record's (poison), or the configuration's (fatal)."""
    for kind, verdict in BY_TYPE:
        if isinstance(error, kind):
            return verdict
    if isinstance(error, asyncpg.PostgresError):
        return _by_sqlstate(error)
    if isinstance(error, redis.exceptions.ResponseError):
        return BY_REDIS_CODE.get(_redis_code(error), Transient)
    return Transient


def _redis_code(error: redis.exceptions.ResponseError) -> str:
    """The first word of the reply, or the one that says what it means."""
    text = str(error)
    if text.startswith(UNAUTHENTICATED):
        return "NOAUTH"
    if any(phrase in text for phrase in NO_RIGHT_IN_A_SCRIPT):
        return "NOPERM"
    return text.partition(" ")[0]


def _by_sqlstate(error: asyncpg.PostgresError) -> Verdict:
    code: str = error.sqlstate or ""
    constraint: str = getattr(error, "constraint_name", None) or ""
    if code == "23514" and not constraint:
        return Fatal  # no partition for the row; a CHECK has a name
    if code == "23505" and constraint.startswith(OUR_KEYS) and constraint.endswith("_pkey"):
        return Transient  # a duplicate that was stored a moment ago: the next attempt finds it
    return BY_SQLSTATE.get(code) or BY_SQLSTATE_CLASS.get(code[:2], Transient)


def message_of(error: BaseException) -> str:
    """One bounded line. Of a server error only the primary message: its detail quotes rows."""
    text = str(getattr(error, "message", None) or error) or type(error).__name__
    code = getattr(error, "sqlstate", None)
    line = " ".join(text.split())[:MESSAGE_LENGTH]
    return f"{line} ({code})" if code else line


def cure_of(error: BaseException) -> str:
    """What a person does about it; empty where there is nothing to do but wait."""
    if isinstance(error, redis.exceptions.RedisError):
        return _redis_cure(error)
    code = getattr(error, "sqlstate", None) or ""
    return CURES.get(code) or CURES.get(code[:2], "")


def _redis_cure(error: redis.exceptions.RedisError) -> str:
    code = _redis_code(error) if isinstance(error, redis.exceptions.ResponseError) else ""
    for kind, word, cure in REDIS_CURES:
        if code == word or (isinstance(error, kind) and kind is not redis.exceptions.ResponseError):
            return cure
    return ""


def failure(error: BaseException) -> Transient | Fatal:
    """The error to raise, from this one, when a batch cannot be stored now."""
    kind = Fatal if classify(error) is Fatal else Transient
    cure = cure_of(error)
    raised = kind(f"{message_of(error)}: {cure}" if cure else message_of(error))
    if isinstance(raised, Transient):
        raised.may_be_a_record = _may_be_a_record(error)
    return raised


def _may_be_a_record(error: BaseException) -> bool:
    code = getattr(error, "sqlstate", None) or ""
    return code in MAY_BE_A_RECORD or not code.startswith(SERVER_STATE)

"""The persistence worker of tracequeue: stream -> Postgres. `TraceRepo` reads what it stored."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tracequeue_worker.repo import TraceRepo

__all__ = ["TraceRepo"]


def __getattr__(name: str) -> Any:
    """Only when it is asked for: without the extra `worker` this package must still say what to install."""
    if name == "TraceRepo":
        from tracequeue_worker.repo import TraceRepo  # noqa: PLC0415

        return TraceRepo
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

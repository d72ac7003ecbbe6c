"""For bots with aiogram: commands for their admins, in the chat, and alerts that reach them there."""

CURE = "the admin commands need more than a bot does ({missing} is missing): pip install 'tracequeue[aiogram,worker]'"
OURS = ("tracequeue", "tracequeue_worker")

try:
    from tracequeue_worker.alerts.rules import AlertRules
    from tracequeue_worker.telegram.alerts import install_alerts
    from tracequeue_worker.telegram.router import admin_router
    from tracequeue_worker.telegram.sources import TraceStreams, trace_sources
except ModuleNotFoundError as error:
    missing = (error.name or "").partition(".")[0]
    if missing in OURS:
        raise
    raise ImportError(CURE.format(missing=missing), name=missing) from error

__all__ = ["AlertRules", "TraceStreams", "admin_router", "install_alerts", "trace_sources"]

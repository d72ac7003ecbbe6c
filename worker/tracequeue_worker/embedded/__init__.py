"""Servers that need no installation: a Redis and a Postgres as child processes, their data in one visible folder."""

from tracequeue_worker.embedded.servers import DATA_DIR, Servers, servers, to_start

__all__ = ["DATA_DIR", "Servers", "servers", "to_start"]

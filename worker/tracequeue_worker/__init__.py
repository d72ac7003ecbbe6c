"""The persistence worker of tracequeue: stream -> Postgres."""

# One image for every command of the project. It holds the extra [worker]: the servers run elsewhere.
FROM python:3.13.9-slim-bookworm AS build
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY emitter ./emitter
COPY worker ./worker
COPY migrations ./migrations
RUN python -m venv /opt/tracequeue \
    && /opt/tracequeue/bin/pip install --no-cache-dir --constraint constraints.txt '.[worker]'

FROM python:3.13.9-slim-bookworm
# /archive is for a volume: it takes over the folder's owner.
RUN useradd --uid 10001 --create-home --shell /usr/sbin/nologin tracequeue \
    && install --directory --owner=10001 --mode=700 /archive
COPY --from=build /opt/tracequeue /opt/tracequeue
ENV PATH=/opt/tracequeue/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    TRACEQUEUE_LOG_FORMAT=json
USER 10001
# Where a worker answers /healthz, /readyz and /metrics, once TRACEQUEUE_HEALTH_PORT=8080 is set.
EXPOSE 8080
WORKDIR /home/tracequeue
CMD ["tracequeue", "worker"]

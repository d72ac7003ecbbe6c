-- The traces that start from one time to before another ($1, $2), as a file of history has them.
SELECT
    trace_id::text,
    (extract(epoch FROM start_time) * 1000000)::bigint AS start_time,
    pipeline_name,
    telegram_id,
    user_id,
    session_id,
    (extract(epoch FROM end_time) * 1000000)::bigint AS end_time,
    duration_ms,
    status,
    success,
    error,
    span_count,
    dropped::text,
    metadata::text,
    tags,
    parent,
    service,
    environment,
    release,
    emitter_id::text
FROM public.pipeline_traces
WHERE start_time >= $1 AND start_time < $2

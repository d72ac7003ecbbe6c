-- The spans that start from one time to before another ($1, $2), as a file of history has them.
SELECT
    trace_id::text,
    span_id,
    parent_span_id,
    span_name,
    kind,
    (extract(epoch FROM start_time) * 1000000)::bigint AS start_time,
    (extract(epoch FROM end_time) * 1000000)::bigint AS end_time,
    duration_ms,
    status,
    success,
    error,
    input_data::text,
    output_data::text,
    attributes::text,
    truncated::text
FROM public.pipeline_spans
WHERE start_time >= $1 AND start_time < $2

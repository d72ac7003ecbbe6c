-- The spans of a trace; inputs and outputs only if they are wanted ($5).
SELECT
    trace_id,
    span_id,
    start_time,
    parent_span_id,
    span_name,
    kind,
    end_time,
    duration_ms,
    status,
    success,
    error,
    CASE WHEN $5 THEN input_data END AS input_data,
    CASE WHEN $5 THEN output_data END AS output_data,
    attributes,
    truncated,
    created_at
FROM public.pipeline_spans
WHERE trace_id = $1 AND start_time BETWEEN $2 AND $3
ORDER BY start_time, span_id
LIMIT $4

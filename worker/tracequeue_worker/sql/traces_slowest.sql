-- The traces that took longest. The view counts the spans of all it is asked for: so it is asked for these only.
SELECT trace.*
FROM (
    SELECT trace_id, start_time
    FROM public.pipeline_traces
    WHERE {conditions} AND duration_ms IS NOT NULL
    ORDER BY duration_ms DESC
    LIMIT $1
) AS slowest
JOIN public.pipeline_trace_status AS trace USING (trace_id, start_time)
ORDER BY trace.duration_ms DESC

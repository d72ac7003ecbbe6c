SELECT start_time, end_time
FROM public.pipeline_traces
WHERE trace_id = $1 AND start_time BETWEEN $2 AND $3
ORDER BY start_time
LIMIT 1

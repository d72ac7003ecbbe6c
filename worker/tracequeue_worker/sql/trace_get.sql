SELECT *
FROM public.pipeline_trace_status
WHERE trace_id = $1 AND start_time BETWEEN $2 AND $3
ORDER BY start_time
LIMIT 1

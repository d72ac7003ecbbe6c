-- The list of traces, newest first. Only the conditions that were asked for, so that each gets a plan of its own.
SELECT *
FROM public.pipeline_trace_status
WHERE {conditions}
ORDER BY start_time DESC, trace_id DESC
LIMIT $1

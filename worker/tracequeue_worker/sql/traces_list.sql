-- The list of traces. Only the conditions that were asked for, so that each gets a plan of its own.
SELECT *
FROM public.pipeline_trace_status
WHERE {conditions}
ORDER BY start_time {order}, trace_id {order}
LIMIT $1

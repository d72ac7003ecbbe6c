-- Few traces start within the bounds, and fewer are of this chat: only their metadata is looked into.
SELECT *
FROM public.pipeline_trace_status
WHERE session_id = $1 AND start_time BETWEEN $2 AND $3 AND metadata @> $4::jsonb
ORDER BY start_time DESC
LIMIT $5

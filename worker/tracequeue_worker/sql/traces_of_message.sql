-- Few traces start within the bounds: only their metadata is looked into.
SELECT *
FROM public.pipeline_trace_status
WHERE {conditions} AND start_time BETWEEN $1 AND $2 AND metadata @> $3::jsonb
ORDER BY start_time DESC
LIMIT $4

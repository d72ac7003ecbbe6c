-- Stored traces that still run and whose end is staged, between the times of the batch ($1, $2).
SELECT staged.trace_id, staged.began
FROM (
    SELECT DISTINCT
        trace_id,
        timestamptz 'epoch' + start_time / 1000000 * interval '1 second' + start_time % 1000000 * interval '1 microsecond'
            AS began
    FROM pg_temp.staged_traces
    WHERE status IS NOT NULL
) AS staged
CROSS JOIN LATERAL (
    SELECT
    FROM public.pipeline_traces AS trace
    WHERE trace.trace_id = staged.trace_id
        AND trace.start_time = staged.began
        AND trace.start_time BETWEEN $1 AND $2
        AND trace.status IS NULL
    LIMIT 1
) AS running

-- Traces that did not end well, by what their errors have in common. Of a long error only the beginning is compared.
SELECT
    status,
    pattern,
    count(*) AS count,
    count(DISTINCT telegram_id) AS people,
    array_agg(DISTINCT pipeline_name) AS pipelines,
    max(start_time) AS last_time,
    (array_agg(trace_id ORDER BY start_time DESC))[1] AS trace_id,
    (array_agg(beginning ORDER BY start_time DESC))[1] AS error
FROM (
    SELECT *, regexp_replace(beginning, $2, '…', 'g') AS pattern
    FROM (
        SELECT trace_id, start_time, status, pipeline_name, telegram_id, left(error, 300) AS beginning
        FROM public.pipeline_traces
        WHERE {conditions} AND success = FALSE
    ) AS failed
) AS compared
GROUP BY status, pattern
ORDER BY count(*) DESC, max(start_time) DESC
LIMIT $1

-- Of the pipelines that ended. Only the conditions that were asked for, so that each gets a plan of its own.
SELECT
    pipeline_name AS name,
    count(*) AS count,
    avg((status = 'error')::integer)::float8 AS failure_share,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY duration_ms) AS p50_ms,
    percentile_cont(0.95) WITHIN GROUP (ORDER BY duration_ms) AS p95_ms,
    percentile_cont(0.99) WITHIN GROUP (ORDER BY duration_ms) AS p99_ms
FROM public.pipeline_traces
WHERE {conditions} AND status IS NOT NULL
GROUP BY pipeline_name
ORDER BY pipeline_name

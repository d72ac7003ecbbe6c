-- Of each named pipeline ($1): when a trace of it ended last, among the newest hundred that started after $2; how many
-- started within $3 before the newest that ended, counted up to $4; and how many started since and have not ended.
SELECT named.pipeline_name, last.end_time AS last_end, usual.traces AS regular, unended.traces AS open
FROM unnest($1::text[]) AS named (pipeline_name)
CROSS JOIN LATERAL (
    SELECT max(start_time) AS start_time, max(end_time) AS end_time
    FROM (
        SELECT start_time, end_time
        FROM public.pipeline_traces AS trace
        -- An equality would let the planner walk all traces by their time: slow for a name that has few.
        WHERE trace.pipeline_name BETWEEN named.pipeline_name AND named.pipeline_name
            AND start_time > $2
            AND status IS NOT NULL
        ORDER BY trace.pipeline_name DESC, start_time DESC
        LIMIT 100
    ) AS newest
    HAVING count(*) > 0
) AS last
CROSS JOIN LATERAL (
    SELECT count(*) AS traces
    FROM (
        SELECT
        FROM public.pipeline_traces AS trace
        WHERE
            trace.pipeline_name = named.pipeline_name
            AND start_time > last.start_time - $3::interval AND start_time <= last.start_time
            AND status IS NOT NULL
        LIMIT $4
    ) AS counted
) AS usual
CROSS JOIN LATERAL (
    SELECT count(*) AS traces
    FROM public.pipeline_traces AS trace
    WHERE trace.pipeline_name = named.pipeline_name AND start_time > last.start_time AND status IS NULL
) AS unended

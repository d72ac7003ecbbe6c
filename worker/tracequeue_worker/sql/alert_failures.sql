-- Of each pipeline: how many traces ended after $2 and until $3, how many of them failed, and the error that was most
-- frequent. What started before $1 is not looked at. Errors that differ only in what $4 matches are one;
-- the last of them is shown.
WITH ended AS (
    SELECT pipeline_name, end_time, status = 'error' AS failed, left(error, 500) AS error
    FROM public.pipeline_traces
    WHERE start_time >= $1 AND end_time > $2 AND end_time <= $3 AND status IS NOT NULL
),

kinds AS (
    SELECT pipeline_name, count(*) AS times, (array_agg(error ORDER BY end_time DESC, error DESC))[1] AS last_error
    FROM ended
    WHERE failed AND error IS NOT NULL
    GROUP BY
        pipeline_name,
        regexp_replace(error, $4, '…', 'g')
)

SELECT
    pipeline_name,
    count(*) AS ended,
    count(*) FILTER (WHERE failed) AS failed,
    (
        SELECT last_error
        FROM kinds
        WHERE kinds.pipeline_name = ended.pipeline_name
        ORDER BY times DESC, last_error
        LIMIT 1
    ) AS error
FROM ended
GROUP BY pipeline_name
ORDER BY count(*) FILTER (WHERE failed) / count(*)::double precision DESC, pipeline_name
LIMIT 1000

-- Frame numbers, of the emitters of which a replay ($1) read any, that neither it nor this database has, as ranges: below
-- the highest one that it read, and from the first one that it read on if it began in the middle ($2).
WITH hole AS (
    SELECT
        seen.emitter_id,
        seen.partition,
        lower(seen.numbers) AS first_read,
        unnest(
            int8multirange(int8range(CASE WHEN $2::boolean THEN lower(seen.numbers) ELSE 1 END, upper(seen.numbers)))
            - seen.numbers
            - coalesce(settled.numbers, '{}')
        ) AS numbers
    FROM public.pipeline_replay_numbers AS seen
    LEFT JOIN public.pipeline_settled AS settled USING (emitter_id, partition)
    WHERE seen.replay_id = $1 AND NOT isempty(seen.numbers)
),
unknown AS (
    SELECT
        emitter_id,
        partition,
        first_read,
        unnest(int8multirange(hole.numbers) - coalesce(stored.numbers, '{}')) AS numbers
    FROM hole
    CROSS JOIN LATERAL (
        SELECT range_agg(int8range(frame.seq, frame.seq, '[]')) AS numbers
        FROM public.pipeline_frames AS frame
        WHERE frame.emitter_id = hole.emitter_id
            AND frame.partition = hole.partition
            AND frame.seq >= lower(hole.numbers)
            AND frame.seq < upper(hole.numbers)
    ) AS stored
)
SELECT
    emitter_id,
    partition,
    lower(numbers) AS first,
    upper(numbers) - 1 AS last,
    CASE WHEN upper(numbers) <= first_read THEN 'trimmed' ELSE 'missing' END AS cause
FROM unknown
ORDER BY emitter_id, partition, first

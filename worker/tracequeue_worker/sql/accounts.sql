-- The account of each emitter. A frame that is dead as a whole counts with all its events, and so does one that had the
-- number of another. Frames without an emitter have the number 0 and are one account together. What was pruned counts
-- from pipeline_settled, and no more when it comes again. Of one emitter ($1), or of those whose frames came over streams
-- with these first letters of their names ($2). The ranges are unpacked once (`+ '{}'`), not for each frame.
WITH settled AS MATERIALIZED (
    SELECT emitter_id, partition, numbers + '{}' AS numbers
    FROM public.pipeline_settled
    WHERE $1::uuid IS NULL OR emitter_id = $1
),
ledger AS (
    SELECT emitter_id, sum(events) AS events, sum(dead) AS dead
    FROM (
        SELECT
            CASE WHEN seq > 0 THEN emitter_id END AS emitter_id,
            events,
            CASE
                WHEN dead = '[]' THEN 0
                WHEN dead @> '[{"index": null}]' THEN events
                ELSE jsonb_array_length(dead)
            END AS dead
        FROM public.pipeline_frames AS frame
        WHERE ($1::uuid IS NULL OR emitter_id = $1)
            AND starts_with(stream, $2)
            AND NOT EXISTS (
                SELECT FROM settled
                WHERE settled.emitter_id = frame.emitter_id
                    AND settled.partition = frame.partition
                    AND settled.numbers @> frame.seq
            )
        UNION ALL
        SELECT emitter_id, events, dead
        FROM public.pipeline_settled
        WHERE ($1::uuid IS NULL OR emitter_id = $1) AND starts_with(stream, $2)
    ) AS frame
    GROUP BY emitter_id
),
conflict AS (
    SELECT emitter_id, count(*) AS frames, sum(events) AS events
    FROM public.pipeline_conflicts
    WHERE starts_with(stream, $2)
    GROUP BY emitter_id
)
SELECT
    emitter_id, service, environment, release, host, pid, started_at, last_seen, emitted,
    coalesce(ledger.events - ledger.dead, 0)::bigint AS persisted,
    (coalesce(ledger.dead, 0) + coalesce(conflict.events, 0))::bigint AS dead,
    coalesce(conflict.frames, 0) AS conflicts,
    dropped AS dropped_events,
    lost,
    spooled AS ever_spooled
FROM public.pipeline_emitters
LEFT JOIN ledger USING (emitter_id)
LEFT JOIN conflict USING (emitter_id)
WHERE ($1::uuid IS NULL OR emitter_id = $1) AND ($2 = '' OR ledger.emitter_id IS NOT NULL)
UNION ALL
SELECT
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
    events::bigint, (events - dead)::bigint, dead::bigint, 0, 0, '{}', 0
FROM ledger
WHERE emitter_id IS NULL
ORDER BY started_at NULLS LAST, emitter_id

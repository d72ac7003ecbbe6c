-- Folds what is old on some pages of the ledger ($1 to before $2) into pipeline_settled: committed before $3, and before $4
-- where events are dead letters. Nobody waits: rows that somebody holds stay for the next time. A number that was folded
-- before, and came again, counts nothing. Frames without an emitter have no number, and stay: their row is all that
-- tells that they were stored.
WITH old AS (
    SELECT ctid
    FROM public.pipeline_frames
    WHERE ctid >= $1::tid AND ctid < $2::tid
        AND seq > 0
        AND seq < 9223372036854775807 -- a range cannot end behind it
        AND committed_at < $3
        AND (dead = '[]' OR committed_at < $4)
    FOR UPDATE SKIP LOCKED
),
pruned AS (
    DELETE FROM public.pipeline_frames
    WHERE ctid = ANY (ARRAY(SELECT ctid FROM old)) -- a join would read the whole ledger each time
    RETURNING emitter_id, partition, seq, stream, events, dead
),
settled AS MATERIALIZED (
    SELECT emitter_id, partition, numbers + '{}' AS numbers -- unpacks them once, not for each frame
    FROM public.pipeline_settled
    WHERE emitter_id = ANY (ARRAY(SELECT emitter_id FROM pruned))
),
counted AS MATERIALIZED ( -- before they are sorted, which would take the ranges along
    SELECT pruned.*, coalesce(settled.numbers @> pruned.seq, false) AS again
    FROM pruned
    LEFT JOIN settled USING (emitter_id, partition)
),
folded AS (
    INSERT INTO public.pipeline_settled AS kept (emitter_id, partition, numbers, events, dead, stream)
    SELECT
        emitter_id,
        partition,
        range_agg(int8range(seq, seq, '[]')),
        coalesce(sum(events) FILTER (WHERE NOT again), 0),
        coalesce(sum(CASE
            WHEN dead = '[]' THEN 0
            WHEN dead @> '[{"index": null}]' THEN events
            ELSE jsonb_array_length(dead)
        END) FILTER (WHERE NOT again), 0),
        min(stream)
    FROM counted
    GROUP BY emitter_id, partition
    ORDER BY emitter_id, partition
    ON CONFLICT (emitter_id, partition) DO UPDATE SET
        numbers = kept.numbers + excluded.numbers,
        events = kept.events + excluded.events,
        dead = kept.dead + excluded.dead
)
SELECT count(*) FROM pruned

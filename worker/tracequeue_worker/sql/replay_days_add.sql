-- Adds to what the replay ($1) has found so far, by day, of events of one kind ($2). First their rows beside each other:
-- those that are staged of some frames ($3), and what stands under their keys now, between two times ($4, $5).
-- Returns how many of the rows this transaction wrote.
WITH compared AS MATERIALIZED (
{compared}
),
by_day AS (
    SELECT
        day,
        count(*) AS source_rows,
        sum(source) AS source_digest,
        count(target) AS target_rows,
        coalesce(sum(target), 0) AS target_digest,
        count(*) FILTER (WHERE source <> target) AS different,
        count(DISTINCT place) FILTER (WHERE is_new) AS written
    FROM compared
    GROUP BY day
),
added AS (
    INSERT INTO public.pipeline_replay_days AS found (
        replay_id, day, kind, source_rows, source_digest, target_rows, target_digest, different
    )
    SELECT $1::uuid, day, $2::text, source_rows, source_digest, target_rows, target_digest, different
    FROM by_day
    ORDER BY day
    ON CONFLICT (replay_id, day, kind) DO UPDATE SET
        source_rows = found.source_rows + excluded.source_rows,
        source_digest = found.source_digest + excluded.source_digest,
        target_rows = found.target_rows + excluded.target_rows,
        target_digest = found.target_digest + excluded.target_digest,
        different = found.different + excluded.different
)
SELECT coalesce(sum(written), 0)::bigint AS written FROM by_day

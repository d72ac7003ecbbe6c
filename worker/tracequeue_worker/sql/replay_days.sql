-- What a replay ($1) found, by day and kind of event, in the order in which people read it.
SELECT
    day,
    kind,
    source_rows,
    source_digest::text,
    target_rows,
    target_digest::text,
    different
FROM public.pipeline_replay_days
WHERE replay_id = $1
ORDER BY day, array_position(ARRAY['starts', 'spans', 'ends'], kind)

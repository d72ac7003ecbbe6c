-- What a replay ($1) has read and written so far, all parts together.
SELECT
    replay.source,
    replay.selection,
    replay.started_at,
    replay.finished_at IS NOT NULL AS finished,
    coalesce(sum(part.frames), 0)::bigint AS frames,
    coalesce(sum(part.events), 0)::bigint AS events,
    coalesce(sum(part.written), 0)::bigint AS written,
    coalesce(sum(part.present), 0)::bigint AS present,
    (
        SELECT coalesce(jsonb_object_agg(reason, events), '{}')
        FROM (
            SELECT refused.reason, sum(refused.events::bigint) AS events
            FROM public.pipeline_replay_parts
            CROSS JOIN jsonb_each_text(dead) AS refused (reason, events)
            WHERE replay_id = $1
            GROUP BY refused.reason
        ) AS counts
    ) AS dead
FROM public.pipeline_replays AS replay
LEFT JOIN public.pipeline_replay_parts AS part USING (replay_id)
WHERE replay.replay_id = $1
GROUP BY replay.replay_id

-- A frame that is dead as a whole counts with all its events. Frames without an emitter are one account together.
WITH ledger AS (
    SELECT
        emitter.emitter_id,
        sum(frame.events) AS events,
        sum(CASE WHEN frame.dead @> '[{"index": null}]' THEN frame.events ELSE jsonb_array_length(frame.dead) END) AS dead
    FROM public.pipeline_frames AS frame
    LEFT JOIN public.pipeline_emitters AS emitter USING (emitter_id)
    GROUP BY emitter.emitter_id
)
SELECT
    emitter_id, service, environment, release, host, pid, started_at, last_seen, emitted,
    coalesce(ledger.events - ledger.dead, 0)::bigint AS persisted,
    coalesce(ledger.dead, 0)::bigint AS dead,
    lost
FROM public.pipeline_emitters
LEFT JOIN ledger USING (emitter_id)
UNION ALL
SELECT
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, events::bigint, (events - dead)::bigint, dead::bigint, '{}'
FROM ledger
WHERE emitter_id IS NULL
ORDER BY started_at NULLS LAST, emitter_id

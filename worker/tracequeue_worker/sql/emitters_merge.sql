-- Merges the accounts of emitters by maximum, so that order does not matter. Sorted, and last in the transaction: every
-- batch of an emitter meets here. From `emitters_seen` or `emitters_copied`.
INSERT INTO public.pipeline_emitters AS kept (
    emitter_id, service, environment, release, host, pid, started_at, last_seen, emitted, spooled, dropped, lost
)
SELECT
    emitter_id, service, environment, release, host, pid, started_at, last_seen, emitted, spooled, dropped, lost
FROM (
{seen}
) AS seen
ORDER BY emitter_id
ON CONFLICT (emitter_id) DO UPDATE SET
    service = coalesce(kept.service, excluded.service),
    environment = coalesce(kept.environment, excluded.environment),
    release = coalesce(kept.release, excluded.release),
    host = coalesce(kept.host, excluded.host),
    pid = coalesce(kept.pid, excluded.pid),
    started_at = coalesce(kept.started_at, excluded.started_at),
    last_seen = greatest(kept.last_seen, excluded.last_seen),
    emitted = greatest(kept.emitted, excluded.emitted),
    spooled = greatest(kept.spooled, excluded.spooled),
    dropped = greatest(kept.dropped, excluded.dropped),
    lost = (
        SELECT coalesce(jsonb_object_agg(reason, events), '{{}}')
        FROM (
            SELECT reason, max(events::bigint) AS events
            FROM (SELECT * FROM jsonb_each_text(kept.lost) UNION ALL SELECT * FROM jsonb_each_text(excluded.lost))
                AS counts (reason, events)
            GROUP BY reason
            ORDER BY events DESC, reason
            LIMIT 1000 -- a producer that makes a new reason for each loss would grow this row for ever; `dropped` has all
        ) AS most
    )

-- Where `traces_merge` met a trace that had ended, with both events in the batch: the second `ended` changes nothing, but
-- its `started` still fills gaps; a row without such gaps is not written anew. The rows are locked already, in order.
-- Between the times of the batch ($1, $2), so that only the partitions of its days are locked.
UPDATE public.pipeline_traces AS kept
SET
    telegram_id = coalesce(kept.telegram_id, started.telegram_id),
    user_id = coalesce(kept.user_id, started.user_id),
    session_id = coalesce(kept.session_id, started.session_id),
    metadata = coalesce(kept.metadata, started.metadata),
    tags = coalesce(kept.tags, started.tags),
    parent = coalesce(kept.parent, started.parent),
    service = coalesce(kept.service, started.service),
    environment = coalesce(kept.environment, started.environment),
    release = coalesce(kept.release, started.release),
    emitter_id = coalesce(kept.emitter_id, started.emitter_id)
FROM (
    SELECT DISTINCT ON (trace_id, start_time) *
    FROM pg_temp.staged_traces
    WHERE status IS NULL
    ORDER BY trace_id, start_time, frame, line
) AS started
WHERE kept.start_time BETWEEN $1 AND $2
    AND kept.trace_id = started.trace_id
    AND kept.start_time = timestamptz 'epoch'
        + started.start_time / 1000000 * interval '1 second' + started.start_time % 1000000 * interval '1 microsecond'
    AND (
        (kept.telegram_id IS NULL AND started.telegram_id IS NOT NULL)
        OR (kept.user_id IS NULL AND started.user_id IS NOT NULL)
        OR (kept.session_id IS NULL AND started.session_id IS NOT NULL)
        OR (kept.metadata IS NULL AND started.metadata IS NOT NULL)
        OR (kept.tags IS NULL AND started.tags IS NOT NULL)
        OR (kept.parent IS NULL AND started.parent IS NOT NULL)
        OR (kept.service IS NULL AND started.service IS NOT NULL)
        OR (kept.environment IS NULL AND started.environment IS NOT NULL)
        OR (kept.release IS NULL AND started.release IS NOT NULL)
        OR (kept.emitter_id IS NULL AND started.emitter_id IS NOT NULL)
    )

-- Merges started and ended traces, in whatever order they come: what `ended` says wins, `started` fills its gaps, and a
-- second `ended` changes nothing. First within the batch, so that no key is touched twice, then with what is stored.
WITH ended AS (
    SELECT DISTINCT ON (trace_id, start_time) *
    FROM pg_temp.staged_traces
    WHERE status IS NOT NULL
    ORDER BY trace_id, start_time, frame, line
),
started AS (
    SELECT DISTINCT ON (trace_id, start_time) *
    FROM pg_temp.staged_traces
    WHERE status IS NULL
    ORDER BY trace_id, start_time, frame, line
)
INSERT INTO public.pipeline_traces AS kept (
    trace_id, start_time, pipeline_name, telegram_id, user_id, session_id, metadata, tags, parent,
    service, environment, release, emitter_id, end_time, duration_ms, status, success, error, span_count, dropped
)
SELECT
    trace_id,
    timestamptz 'epoch' + start_time / 1000000 * interval '1 second' + start_time % 1000000 * interval '1 microsecond',
    coalesce(ended.pipeline_name, started.pipeline_name),
    coalesce(ended.telegram_id, started.telegram_id),
    coalesce(ended.user_id, started.user_id),
    coalesce(ended.session_id, started.session_id),
    coalesce(ended.metadata, started.metadata),
    coalesce(ended.tags, started.tags),
    coalesce(ended.parent, started.parent),
    coalesce(ended.service, started.service),
    coalesce(ended.environment, started.environment),
    coalesce(ended.release, started.release),
    coalesce(ended.emitter_id, started.emitter_id),
    timestamptz 'epoch'
        + ended.end_time / 1000000 * interval '1 second' + ended.end_time % 1000000 * interval '1 microsecond',
    ended.duration_ms,
    ended.status,
    ended.success,
    ended.error,
    ended.span_count,
    ended.dropped
FROM ended
FULL JOIN started USING (trace_id, start_time)
ORDER BY trace_id, start_time
ON CONFLICT (trace_id, start_time) DO UPDATE SET
    pipeline_name = CASE WHEN kept.status IS NULL THEN excluded.pipeline_name ELSE kept.pipeline_name END,
    telegram_id = coalesce(CASE WHEN kept.status IS NULL THEN excluded.telegram_id END, kept.telegram_id, excluded.telegram_id),
    user_id = coalesce(CASE WHEN kept.status IS NULL THEN excluded.user_id END, kept.user_id, excluded.user_id),
    session_id = coalesce(CASE WHEN kept.status IS NULL THEN excluded.session_id END, kept.session_id, excluded.session_id),
    metadata = coalesce(CASE WHEN kept.status IS NULL THEN excluded.metadata END, kept.metadata, excluded.metadata),
    tags = coalesce(CASE WHEN kept.status IS NULL THEN excluded.tags END, kept.tags, excluded.tags),
    parent = coalesce(CASE WHEN kept.status IS NULL THEN excluded.parent END, kept.parent, excluded.parent),
    service = coalesce(CASE WHEN kept.status IS NULL THEN excluded.service END, kept.service, excluded.service),
    environment = coalesce(CASE WHEN kept.status IS NULL THEN excluded.environment END, kept.environment, excluded.environment),
    release = coalesce(CASE WHEN kept.status IS NULL THEN excluded.release END, kept.release, excluded.release),
    emitter_id = coalesce(CASE WHEN kept.status IS NULL THEN excluded.emitter_id END, kept.emitter_id, excluded.emitter_id),
    end_time = coalesce(kept.end_time, excluded.end_time),
    duration_ms = coalesce(kept.duration_ms, excluded.duration_ms),
    status = coalesce(kept.status, excluded.status),
    success = coalesce(kept.success, excluded.success),
    error = coalesce(kept.error, excluded.error),
    span_count = coalesce(kept.span_count, excluded.span_count),
    dropped = coalesce(kept.dropped, excluded.dropped)
WHERE kept.status IS NULL OR excluded.status IS NULL

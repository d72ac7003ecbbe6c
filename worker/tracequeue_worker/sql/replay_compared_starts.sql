-- Staged starts of traces beside the stored traces, as `replay_compared_spans` does. Another event may have filled what
-- this one leaves open, and an end overrides what a start says: then it is enough that there is something.
SELECT
    (staged.began AT TIME ZONE 'UTC')::date AS day,
    hash_record_extended(
        ROW(
            staged.trace_id, staged.began, staged.pipeline_name, staged.telegram_id, staged.user_id, staged.session_id,
            staged.metadata, staged.tags, staged.parent, staged.service, staged.environment, staged.release,
            staged.emitter_id
        ),
        0
    ) AS source,
    kept.digest AS target,
    kept.place,
    kept.is_new
FROM (
    SELECT
        *,
        timestamptz 'epoch' + start_time / 1000000 * interval '1 second' + start_time % 1000000 * interval '1 microsecond'
            AS began
    FROM pg_temp.staged_traces
    WHERE status IS NULL AND frame = ANY ($3::integer[])
) AS staged
LEFT JOIN LATERAL (
    SELECT
        trace.ctid AS place,
        trace.xmin = pg_current_xact_id()::xid AND trace.created_at = now() AS is_new,
        CASE
            WHEN trace.status IS NULL THEN hash_record_extended(
                ROW(
                    trace.trace_id,
                    trace.start_time,
                    trace.pipeline_name,
                    CASE WHEN staged.telegram_id IS NOT NULL THEN trace.telegram_id END,
                    CASE WHEN staged.user_id IS NOT NULL THEN trace.user_id END,
                    CASE WHEN staged.session_id IS NOT NULL THEN trace.session_id END,
                    CASE WHEN staged.metadata IS NOT NULL THEN trace.metadata END,
                    CASE WHEN staged.tags IS NOT NULL THEN trace.tags END,
                    CASE WHEN staged.parent IS NOT NULL THEN trace.parent END,
                    CASE WHEN staged.service IS NOT NULL THEN trace.service END,
                    CASE WHEN staged.environment IS NOT NULL THEN trace.environment END,
                    CASE WHEN staged.release IS NOT NULL THEN trace.release END,
                    CASE WHEN staged.emitter_id IS NOT NULL THEN trace.emitter_id END
                ),
                0
            )
            ELSE hash_record_extended(
                ROW(
                    trace.trace_id,
                    trace.start_time,
                    staged.pipeline_name,
                    CASE WHEN trace.telegram_id IS NOT NULL THEN staged.telegram_id END,
                    CASE WHEN trace.user_id IS NOT NULL THEN staged.user_id END,
                    CASE WHEN trace.session_id IS NOT NULL THEN staged.session_id END,
                    CASE WHEN trace.metadata IS NOT NULL THEN staged.metadata END,
                    CASE WHEN trace.tags IS NOT NULL THEN staged.tags END,
                    CASE WHEN trace.parent IS NOT NULL THEN staged.parent END,
                    CASE WHEN trace.service IS NOT NULL THEN staged.service END,
                    CASE WHEN trace.environment IS NOT NULL THEN staged.environment END,
                    CASE WHEN trace.release IS NOT NULL THEN staged.release END,
                    CASE WHEN trace.emitter_id IS NOT NULL THEN staged.emitter_id END
                ),
                0
            )
        END AS digest
    FROM public.pipeline_traces AS trace
    WHERE trace.trace_id = staged.trace_id
        AND trace.start_time = staged.began
        AND trace.start_time BETWEEN $4 AND $5
    LIMIT 1
) AS kept ON true

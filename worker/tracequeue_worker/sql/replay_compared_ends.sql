-- Staged ends of traces beside the stored traces that ended, as `replay_compared_spans` does. What an end leaves open, a
-- start may have filled. It is new if it made the row, or ended one that ran before ($6, $7).
SELECT
    (staged.began AT TIME ZONE 'UTC')::date AS day,
    hash_record_extended(
        ROW(
            staged.trace_id, staged.began, staged.pipeline_name, staged.telegram_id, staged.user_id, staged.session_id,
            staged.metadata, staged.tags, staged.parent, staged.service, staged.environment, staged.release,
            staged.emitter_id,
            timestamptz 'epoch'
                + staged.end_time / 1000000 * interval '1 second' + staged.end_time % 1000000 * interval '1 microsecond',
            staged.duration_ms, staged.status, staged.success, staged.error, staged.span_count, staged.dropped
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
    WHERE status IS NOT NULL AND frame = ANY ($3::integer[])
) AS staged
LEFT JOIN LATERAL (
    SELECT
        trace.ctid AS place,
        trace.xmin = pg_current_xact_id()::xid AND (
            trace.created_at = now()
            OR (trace.trace_id, trace.start_time) IN (SELECT * FROM unnest($6::uuid[], $7::timestamptz[]))
        ) AS is_new,
        hash_record_extended(
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
                CASE WHEN staged.emitter_id IS NOT NULL THEN trace.emitter_id END,
                trace.end_time, trace.duration_ms, trace.status, trace.success, trace.error, trace.span_count,
                trace.dropped
            ),
            0
        ) AS digest
    FROM public.pipeline_traces AS trace
    WHERE trace.trace_id = staged.trace_id
        AND trace.start_time = staged.began
        AND trace.start_time BETWEEN $4 AND $5
        AND trace.status IS NOT NULL
    LIMIT 1
) AS kept ON true

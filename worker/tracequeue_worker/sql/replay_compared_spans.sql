-- Staged spans beside the stored ones. Only the partitions of the batch's days are locked ($4, $5), and each row is
-- looked up by its key (LIMIT): the server knows nothing of how many rows are staged.
SELECT
    (staged.began AT TIME ZONE 'UTC')::date AS day,
    hash_record_extended(
        ROW(
            staged.trace_id, staged.span_id, staged.began, staged.parent_span_id, staged.span_name, staged.kind,
            timestamptz 'epoch'
                + staged.end_time / 1000000 * interval '1 second' + staged.end_time % 1000000 * interval '1 microsecond',
            staged.duration_ms, staged.status, staged.success, staged.error, staged.input_data, staged.output_data,
            staged.attributes, staged.truncated
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
    FROM pg_temp.staged_spans
    WHERE frame = ANY ($3::integer[])
) AS staged
LEFT JOIN LATERAL (
    SELECT
        span.ctid AS place,
        span.xmin = pg_current_xact_id()::xid AS is_new,
        hash_record_extended(
            ROW(
                span.trace_id, span.span_id, span.start_time, span.parent_span_id, span.span_name, span.kind,
                span.end_time, span.duration_ms, span.status, span.success, span.error, span.input_data,
                span.output_data, span.attributes, span.truncated
            ),
            0
        ) AS digest
    FROM public.pipeline_spans AS span
    WHERE span.trace_id = staged.trace_id
        AND span.span_id = staged.span_id
        AND span.start_time = staged.began
        AND span.start_time BETWEEN $4 AND $5
    LIMIT 1
) AS kept ON true

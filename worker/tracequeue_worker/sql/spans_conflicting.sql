-- Staged spans that differ from what is stored under their key, between the times of the batch ($1, $2): so only the
-- partitions of its days are locked.
SELECT count(*)
FROM pg_temp.staged_spans AS staged
JOIN public.pipeline_spans AS kept
    ON kept.trace_id = staged.trace_id
    AND kept.span_id = staged.span_id
    AND kept.start_time = timestamptz 'epoch'
        + staged.start_time / 1000000 * interval '1 second' + staged.start_time % 1000000 * interval '1 microsecond'
WHERE kept.start_time BETWEEN $1 AND $2
    AND (
        kept.parent_span_id, kept.span_name, kept.kind, kept.duration_ms, kept.status, kept.error,
        kept.input_data, kept.output_data, kept.attributes, kept.truncated
    ) IS DISTINCT FROM (
        staged.parent_span_id, staged.span_name, staged.kind, staged.duration_ms, staged.status, staged.error,
        staged.input_data, staged.output_data, staged.attributes, staged.truncated
    )

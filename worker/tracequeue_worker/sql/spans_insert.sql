-- Sorted by key over the whole batch: overlapping batches in other orders deadlock, even with DO NOTHING. What to do
-- about spans that are there already comes last.
INSERT INTO public.pipeline_spans (
    trace_id, span_id, start_time, parent_span_id, span_name, kind, end_time, duration_ms, status, success, error,
    input_data, output_data, attributes, truncated
)
SELECT
    trace_id,
    span_id,
    timestamptz 'epoch' + start_time / 1000000 * interval '1 second' + start_time % 1000000 * interval '1 microsecond',
    parent_span_id,
    span_name,
    kind,
    timestamptz 'epoch' + end_time / 1000000 * interval '1 second' + end_time % 1000000 * interval '1 microsecond',
    duration_ms,
    status,
    success,
    error,
    input_data,
    output_data,
    attributes,
    truncated
FROM pg_temp.staged_spans
ORDER BY trace_id, span_id, staged_spans.start_time, frame, line
{already_there}

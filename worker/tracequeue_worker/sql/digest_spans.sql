-- How many spans start between two times ($1, before $2), and the sum of the hashes of their rows, whatever their order.
SELECT
    count(*) AS rows,
    coalesce(
        sum(
            hash_record_extended(
                ROW(
                    trace_id, span_id, start_time, parent_span_id, span_name, kind, end_time, duration_ms, status,
                    success, error, input_data, output_data, attributes, truncated
                ),
                0
            )
        ),
        0
    )::text AS digest
FROM public.pipeline_spans
WHERE start_time >= $1 AND start_time < $2

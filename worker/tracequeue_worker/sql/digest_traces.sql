-- How many traces start between two times ($1, before $2), and the sum of the hashes of their rows, as `digest_spans`.
SELECT
    count(*) AS rows,
    coalesce(
        sum(
            hash_record_extended(
                ROW(
                    trace_id, start_time, pipeline_name, telegram_id, user_id, session_id, end_time, duration_ms, status,
                    success, error, span_count, dropped, metadata, tags, parent, service, environment, release,
                    emitter_id
                ),
                0
            )
        ),
        0
    )::text AS digest
FROM public.pipeline_traces
WHERE start_time >= $1 AND start_time < $2

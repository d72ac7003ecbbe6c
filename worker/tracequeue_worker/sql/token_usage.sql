-- What calls of language models used, in groups within each of which the price of a call is linear in its tokens: with
-- an input between the same two of $3 and a start between the same two of $4. A trace begins within a day of its spans.
SELECT
    trace.pipeline_name,
    trace.telegram_id,
    call.provider,
    call.model,
    count(*) AS calls,
    sum(call.input_tokens) AS input_tokens,
    sum(call.cache_read_tokens) AS cache_read_tokens,
    sum(call.cache_write_tokens) AS cache_write_tokens,
    sum(call.output_tokens) AS output_tokens,
    min(call.start_time) AS first_time
FROM (
    SELECT
        trace_id,
        start_time,
        attributes ->> '{provider}' AS provider,
        coalesce(attributes ->> '{response_model}', attributes ->> '{request_model}') AS model,
        coalesce(
            trunc(jsonb_path_query_first(attributes, '$."{input_tokens}" ? (@ >= 0)')::numeric), 0
        ) AS input_tokens,
        coalesce(
            trunc(jsonb_path_query_first(attributes, '$."{cache_read_tokens}" ? (@ >= 0)')::numeric), 0
        ) AS cache_read_tokens,
        coalesce(
            trunc(jsonb_path_query_first(attributes, '$."{cache_write_tokens}" ? (@ >= 0)')::numeric), 0
        ) AS cache_write_tokens,
        coalesce(
            trunc(jsonb_path_query_first(attributes, '$."{output_tokens}" ? (@ >= 0)')::numeric), 0
        ) AS output_tokens
    FROM public.pipeline_spans
    WHERE start_time >= $1 AND start_time < $2
        AND attributes ?| ARRAY['{input_tokens}', '{output_tokens}']
) AS call
LEFT JOIN (
    SELECT trace_id, min(pipeline_name) AS pipeline_name, min(telegram_id) AS telegram_id
    FROM public.pipeline_traces
    WHERE start_time >= $1 - interval '1 day' AND start_time < $2 + interval '1 day'
    GROUP BY trace_id
) AS trace USING (trace_id)
GROUP BY
    trace.pipeline_name, trace.telegram_id, call.provider, call.model,
    width_bucket(call.input_tokens, $3::numeric[]), width_bucket(call.start_time, $4::timestamptz[]),
    -- What no price can be right for is not hidden among the others.
    call.cache_read_tokens + call.cache_write_tokens > call.input_tokens

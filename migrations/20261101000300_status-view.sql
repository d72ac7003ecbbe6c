-- How each trace stands. Use it with a bound on start_time: it counts the spans of every trace it shows.
-- `state`: running, ok, error, cancelled, or abandoned (still running, but its emitter has been silent for 5 minutes).
-- `completeness`: complete, in flight, or partial; then `missing` says why.
CREATE OR REPLACE VIEW public.pipeline_trace_status WITH (security_invoker = true) AS
SELECT
    settled.state,
    account.completeness,
    CASE
        WHEN account.completeness <> 'partial' THEN NULL
        WHEN settled.state = 'abandoned' THEN 'the emitter went silent'
        WHEN losses.lost THEN 'dropped by the emitter: ' || trace.dropped::text
        ELSE format('%s of %s spans were not stored', trace.span_count - stored.spans, trace.span_count)
    END AS missing,
    stored.spans AS stored_spans,
    trace.*
FROM public.pipeline_traces AS trace
LEFT JOIN public.pipeline_emitters AS emitter USING (emitter_id)
CROSS JOIN LATERAL (
    SELECT CASE
        WHEN trace.status IS NOT NULL THEN trace.status
        WHEN coalesce(emitter.last_seen, trace.created_at) < now() - interval '5 minutes' THEN 'abandoned'
        ELSE 'running'
    END AS state
) AS settled
CROSS JOIN LATERAL (
    -- The bounds let the planner leave out the days on which this trace cannot have spans.
    SELECT count(*) AS spans
    FROM public.pipeline_spans AS span
    WHERE span.trace_id = trace.trace_id
        AND span.start_time >= trace.start_time - interval '1 hour'
        AND span.start_time <= coalesce(trace.end_time, now()) + interval '1 day'
) AS stored
CROSS JOIN LATERAL (
    SELECT coalesce(trace.dropped, '{}') <> '{}' AS lost
) AS losses
CROSS JOIN LATERAL (
    SELECT CASE
        WHEN settled.state = 'running' THEN 'in flight'
        WHEN settled.state = 'abandoned' OR losses.lost THEN 'partial'
        WHEN stored.spans >= coalesce(trace.span_count, 0) THEN 'complete'
        WHEN greatest(trace.created_at, trace.end_time) > now() - interval '5 minutes' THEN 'in flight'
        ELSE 'partial'
    END AS completeness
) AS account;

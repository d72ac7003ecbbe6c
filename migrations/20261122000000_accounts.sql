-- What `tracequeue audit` needs to know: how much of an emitter took the way over its disk, frame numbers that were used
-- twice, what was lost outside, and of which trace a dead letter is.

ALTER TABLE public.pipeline_emitters ADD COLUMN IF NOT EXISTS spooled bigint NOT NULL DEFAULT 0;

COMMENT ON COLUMN public.pipeline_emitters.spooled IS 'Events that were ever on its disk, its own cumulative count.';

CREATE TABLE IF NOT EXISTS public.pipeline_conflicts (
    emitter_id uuid NOT NULL,
    partition integer NOT NULL,
    seq bigint NOT NULL,
    digest bytea NOT NULL,
    stream text NOT NULL,
    entry_id text NOT NULL,
    events integer NOT NULL,
    detected_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (emitter_id, partition, seq, digest)
);

COMMENT ON TABLE public.pipeline_conflicts IS
    'Frames under a number that another frame of the emitter has: each became a dead letter as a whole (seq_conflict).';

CREATE TABLE IF NOT EXISTS public.pipeline_losses (
    detected_at timestamptz NOT NULL DEFAULT now(),
    stream text NOT NULL,
    reason text NOT NULL,
    frames bigint NOT NULL,
    worker text NOT NULL
);

COMMENT ON TABLE public.pipeline_losses IS
    'Frames that disappeared from a stream before they were stored (trimmed, deleted, flushed), as a worker detected it.';

-- Why a trace is partial: its dead letters. Frames without any, nearly all, are not in it.
CREATE INDEX IF NOT EXISTS pipeline_frames_dead
    ON public.pipeline_frames USING gin (dead jsonb_path_ops) WHERE dead <> '[]';

COMMENT ON COLUMN public.pipeline_frames.dead IS
    'Events that became dead letters: [{"index": line or null for the whole frame, "reason", "error", "trace_id" if known}].';

-- How each trace stands. Use it with a bound on start_time: it counts the spans of every trace it shows.
-- `state`: running, ok, error, cancelled, or abandoned (still running, but its emitter has been silent for 5 minutes).
-- `completeness`: complete, in flight, or partial; then `missing` says why. The start of a trace is not missed: its end
-- says the same.
CREATE OR REPLACE VIEW public.pipeline_trace_status WITH (security_invoker = true) AS
SELECT
    settled.state,
    account.completeness,
    CASE WHEN account.completeness = 'partial' THEN concat_ws(
        '; ',
        CASE WHEN settled.state = 'abandoned' THEN 'the emitter went silent' END,
        CASE WHEN dropped.events > 0 THEN format('%s dropped by the emitter (%s)', dropped.events, dropped.reasons) END,
        CASE WHEN dead.events > 0 THEN format('%s in dead letters (%s)', dead.events, dead.reasons) END,
        CASE WHEN stored.missing > dropped.events + dead.events THEN format(
            '%s of %s spans were not stored', stored.missing - dropped.events - dead.events, trace.span_count
        ) END
    ) END AS missing,
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
    SELECT count(*) AS spans, coalesce(trace.span_count, 0) - count(*) AS missing
    FROM public.pipeline_spans AS span
    WHERE span.trace_id = trace.trace_id
        AND span.start_time >= trace.start_time - interval '1 hour'
        AND span.start_time <= coalesce(trace.end_time, now()) + interval '1 day'
) AS stored
CROSS JOIN LATERAL (
    SELECT coalesce(sum(count.value::numeric), 0) AS events, string_agg(count.key, ', ' ORDER BY count.key) AS reasons
    FROM jsonb_each_text(CASE WHEN jsonb_typeof(trace.dropped) = 'object' THEN trace.dropped END) AS count
) AS dropped
CROSS JOIN LATERAL (
    SELECT count(*) AS events, string_agg(DISTINCT letter ->> 'reason', ', ') AS reasons
    FROM public.pipeline_frames AS frame
    CROSS JOIN jsonb_array_elements(frame.dead) AS letter
    WHERE (trace.status IS NULL OR stored.missing > 0)
        AND frame.dead <> '[]'
        AND frame.dead @> jsonb_build_array(jsonb_build_object('trace_id', trace.trace_id))
        AND letter ->> 'trace_id' = trace.trace_id::text
) AS dead
CROSS JOIN LATERAL (
    SELECT CASE
        WHEN dead.events > 0 OR settled.state = 'abandoned' THEN 'partial'
        WHEN settled.state = 'running' THEN 'in flight'
        WHEN dropped.events > 0 AND (stored.missing > 0 OR trace.span_count IS NULL) THEN 'partial'
        WHEN stored.missing <= 0 THEN 'complete'
        WHEN greatest(trace.created_at, trace.end_time) > now() - interval '5 minutes' THEN 'in flight'
        ELSE 'partial'
    END AS completeness
) AS account;

-- Repeatable: gives roles that were made after the migrations their rights too. `tracequeue migrate` calls it each time.
CREATE OR REPLACE FUNCTION public.pipeline_apply_access() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    relation regclass;
    verb text;
    member name;
BEGIN
    FOREACH relation IN ARRAY ARRAY[
        'public.pipeline_traces', 'public.pipeline_spans', 'public.pipeline_frames', 'public.pipeline_emitters',
        'public.pipeline_conflicts', 'public.pipeline_losses'
    ]::regclass[] LOOP
        PERFORM public.pipeline_allow(relation, 'tracequeue_writer', 'SELECT');
        PERFORM public.pipeline_allow(relation, 'tracequeue_writer', 'INSERT');
        PERFORM public.pipeline_allow(relation, 'tracequeue_reader', 'SELECT');
        FOREACH verb IN ARRAY ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE'] LOOP
            PERFORM public.pipeline_allow(relation, 'service_role', verb);
        END LOOP;
    END LOOP;
    PERFORM public.pipeline_allow('public.pipeline_traces', 'tracequeue_writer', 'UPDATE');
    PERFORM public.pipeline_allow('public.pipeline_emitters', 'tracequeue_writer', 'UPDATE');
    PERFORM public.pipeline_allow('public.pipeline_frames', 'tracequeue_writer', 'UPDATE', '(dead)');
    FOR member IN
        SELECT rolname FROM pg_roles WHERE rolname IN ('tracequeue_writer', 'tracequeue_reader', 'service_role')
    LOOP
        EXECUTE format('GRANT SELECT ON public.pipeline_trace_status TO %I', member);
        IF member <> 'tracequeue_reader' THEN
            EXECUTE format('GRANT EXECUTE ON FUNCTION public.pipeline_ensure_partition(date) TO %I', member);
        END IF;
        IF NOT has_schema_privilege(member, 'public', 'USAGE') THEN
            EXECUTE format('GRANT USAGE ON SCHEMA public TO %I', member);
        END IF;
        IF member = 'tracequeue_writer' AND NOT has_database_privilege(member, current_database(), 'TEMPORARY') THEN
            EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO %I', current_database(), member);
        END IF;
    END LOOP;
END
$$;

DO $$
DECLARE
    relation regclass;
BEGIN
    FOREACH relation IN ARRAY ARRAY['public.pipeline_conflicts', 'public.pipeline_losses']::regclass[] LOOP
        PERFORM public.pipeline_seal(relation);
    END LOOP;
    PERFORM public.pipeline_apply_access();
END
$$;

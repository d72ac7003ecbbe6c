-- Traces and spans, partitioned by the UTC day on which they start; the ledger of stored frames; the emitters.
-- There is no default partition and no foreign key: see docs/architecture.md.

CREATE TABLE IF NOT EXISTS public.pipeline_traces (
    trace_id uuid NOT NULL,
    start_time timestamptz NOT NULL,
    pipeline_name text NOT NULL,
    telegram_id bigint,
    user_id bigint,
    session_id text,
    end_time timestamptz,
    duration_ms double precision,
    status text CONSTRAINT pipeline_traces_status CHECK (status IN ('ok', 'error', 'cancelled')),
    success boolean,
    error text,
    span_count integer,
    dropped jsonb,
    metadata jsonb,
    tags text[],
    parent text,
    service text,
    environment text,
    release text,
    emitter_id uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (trace_id, start_time)
) PARTITION BY RANGE (start_time);

COMMENT ON TABLE public.pipeline_traces IS 'One row per trace; status and success are null while it runs.';

-- The list of traces, newest first: of everybody, of one person, of one pipeline.
CREATE INDEX IF NOT EXISTS pipeline_traces_by_time ON public.pipeline_traces (start_time, trace_id);
CREATE INDEX IF NOT EXISTS pipeline_traces_by_telegram_id
    ON public.pipeline_traces (telegram_id, start_time, trace_id) WHERE telegram_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS pipeline_traces_by_pipeline ON public.pipeline_traces (pipeline_name, start_time, trace_id);

CREATE TABLE IF NOT EXISTS public.pipeline_spans (
    trace_id uuid NOT NULL,
    span_id text NOT NULL,
    start_time timestamptz NOT NULL,
    parent_span_id text,
    span_name text NOT NULL,
    kind text,
    end_time timestamptz NOT NULL,
    duration_ms double precision NOT NULL,
    status text NOT NULL CONSTRAINT pipeline_spans_status CHECK (status IN ('ok', 'error', 'cancelled')),
    success boolean NOT NULL,
    error text,
    input_data jsonb,
    output_data jsonb,
    attributes jsonb,
    truncated jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    -- This key finds the spans of a trace too.
    PRIMARY KEY (trace_id, span_id, start_time)
) PARTITION BY RANGE (start_time);

COMMENT ON TABLE public.pipeline_spans IS 'One row per step of a trace.';

-- The statistics of one span name.
CREATE INDEX IF NOT EXISTS pipeline_spans_by_name ON public.pipeline_spans (span_name, start_time);

CREATE TABLE IF NOT EXISTS public.pipeline_frames (
    emitter_id uuid NOT NULL,
    partition integer NOT NULL,
    seq bigint NOT NULL,
    digest bytea NOT NULL,
    stream text NOT NULL,
    entry_id text NOT NULL,
    events integer NOT NULL,
    dead jsonb NOT NULL DEFAULT '[]',
    committed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (emitter_id, partition, seq)
);

-- The rate at which events were stored of late; rows come in this order.
CREATE INDEX IF NOT EXISTS pipeline_frames_by_commit ON public.pipeline_frames USING brin (committed_at);

COMMENT ON TABLE public.pipeline_frames IS
    'The ledger: one row per stored frame, written in the transaction of its rows. A frame without an emitter has the hash of its entry as emitter_id.';
COMMENT ON COLUMN public.pipeline_frames.dead IS
    'Events that became dead letters: [{"index": line or null for the whole frame, "reason", "error"}].';

CREATE TABLE IF NOT EXISTS public.pipeline_emitters (
    emitter_id uuid PRIMARY KEY,
    service text,
    environment text,
    release text,
    host text,
    pid bigint,
    started_at timestamptz,
    last_seen timestamptz NOT NULL,
    emitted bigint NOT NULL DEFAULT 0,
    lost jsonb NOT NULL DEFAULT '{}'
);

COMMENT ON TABLE public.pipeline_emitters IS
    'One row per life of a bot process; emitted and lost (by reason) are its own cumulative counts.';

-- Where a batch's rows go first: COPY straight into a table under row level security is refused, and a COPY error names
-- the line. So whatever can be wrong with a row must be wrong here already: hence the types and the checks.
-- Times are microseconds since the epoch, within the years 1 to 9999. Memory for sorting a batch of the usual size, which
-- with the default of 4 MB goes to the disk.
SET LOCAL work_mem = '32MB';
CREATE TEMPORARY TABLE IF NOT EXISTS staged_spans (
    frame integer NOT NULL,
    line integer NOT NULL,
    trace_id uuid NOT NULL,
    span_id text NOT NULL,
    parent_span_id text,
    span_name text NOT NULL,
    kind text,
    start_time bigint NOT NULL CONSTRAINT start_time CHECK (start_time BETWEEN -62135596800000000 AND 253402300799999999),
    end_time bigint NOT NULL CONSTRAINT end_time CHECK (end_time BETWEEN -62135596800000000 AND 253402300799999999),
    duration_ms double precision NOT NULL,
    status text NOT NULL CONSTRAINT status CHECK (status IN ('ok', 'error', 'cancelled')),
    success boolean NOT NULL,
    error text,
    input_data jsonb,
    output_data jsonb,
    attributes jsonb,
    truncated jsonb
) ON COMMIT DELETE ROWS;
CREATE TEMPORARY TABLE IF NOT EXISTS staged_traces (
    frame integer NOT NULL,
    line integer NOT NULL,
    trace_id uuid NOT NULL,
    start_time bigint NOT NULL CONSTRAINT start_time CHECK (start_time BETWEEN -62135596800000000 AND 253402300799999999),
    pipeline_name text NOT NULL,
    telegram_id bigint,
    user_id bigint,
    session_id text,
    end_time bigint CONSTRAINT end_time CHECK (end_time BETWEEN -62135596800000000 AND 253402300799999999),
    duration_ms double precision,
    status text CONSTRAINT status CHECK (status IN ('ok', 'error', 'cancelled')),
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
    emitter_id uuid
) ON COMMIT DELETE ROWS;

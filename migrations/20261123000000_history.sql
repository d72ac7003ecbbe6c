-- Replays: how far each has come and what it found, written in the transactions of the rows they cover. And what the
-- ledger said of frames whose rows there were pruned.

CREATE TABLE IF NOT EXISTS public.pipeline_replays (
    replay_id uuid PRIMARY KEY,
    source text NOT NULL,
    selection text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz
);

COMMENT ON TABLE public.pipeline_replays IS
    'One row per replay: what is read (without secrets), and which of it. Whoever starts an unfinished one again goes on with it.';

CREATE UNIQUE INDEX IF NOT EXISTS pipeline_replays_unfinished
    ON public.pipeline_replays (source, selection) WHERE finished_at IS NULL;

CREATE TABLE IF NOT EXISTS public.pipeline_replay_parts (
    replay_id uuid NOT NULL,
    part text NOT NULL,
    position text NOT NULL DEFAULT '',
    done bigint NOT NULL DEFAULT 0,
    frames bigint NOT NULL DEFAULT 0,
    events bigint NOT NULL DEFAULT 0,
    written bigint NOT NULL DEFAULT 0,
    present bigint NOT NULL DEFAULT 0,
    dead jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (replay_id, part)
);

COMMENT ON TABLE public.pipeline_replay_parts IS
    'The checkpoints: up to where a part of the source (a partition, a file) is stored, and what was read of it so far.';
COMMENT ON COLUMN public.pipeline_replay_parts.done IS 'How much of the part that is: entries, or bytes of a file.';
COMMENT ON COLUMN public.pipeline_replay_parts.present IS 'Events whose row was there already.';
COMMENT ON COLUMN public.pipeline_replay_parts.dead IS 'Events that are refused, by reason.';

CREATE TABLE IF NOT EXISTS public.pipeline_replay_days (
    replay_id uuid NOT NULL,
    day date NOT NULL,
    kind text NOT NULL CONSTRAINT pipeline_replay_days_kind CHECK (kind IN ('spans', 'starts', 'ends')),
    source_rows bigint NOT NULL,
    source_digest numeric NOT NULL,
    target_rows bigint NOT NULL,
    target_digest numeric NOT NULL,
    different bigint NOT NULL,
    PRIMARY KEY (replay_id, day, kind)
);

COMMENT ON TABLE public.pipeline_replay_days IS
    'What a replay read, beside what stands under the same keys in this database: counts, and sums of the hashes of the rows.';

CREATE TABLE IF NOT EXISTS public.pipeline_replay_numbers (
    replay_id uuid NOT NULL,
    emitter_id uuid NOT NULL,
    partition integer NOT NULL,
    numbers int8multirange NOT NULL,
    PRIMARY KEY (replay_id, emitter_id, partition)
);

COMMENT ON TABLE public.pipeline_replay_numbers IS 'Which frames of each emitter a replay has read.';

CREATE TABLE IF NOT EXISTS public.pipeline_settled (
    emitter_id uuid NOT NULL,
    partition integer NOT NULL,
    numbers int8multirange NOT NULL,
    events bigint NOT NULL,
    dead bigint NOT NULL,
    stream text NOT NULL DEFAULT '',
    PRIMARY KEY (emitter_id, partition)
);

COMMENT ON TABLE public.pipeline_settled IS
    'The ledger of long ago: the frame numbers that retention took out of pipeline_frames, and their events together.';

-- Looks the name up as rows of the catalog: a cast to regclass may answer from before a lock was waited for.
CREATE OR REPLACE FUNCTION public.pipeline_has_partition(partition_name text) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (
        SELECT FROM pg_inherits
        JOIN pg_class ON pg_class.oid = inhrelid
        JOIN pg_namespace ON pg_namespace.oid = relnamespace
        WHERE relname = partition_name AND nspname = 'pipeline_parts' AND NOT inhdetachpending
    )
$$;

-- Makes the partitions of one UTC day, and says whether there was anything to make; as before, and of a day whose partition
-- retention has begun to detach too: the detaching is ended, and the partition attached again with what is in it. That
-- waits for transactions that still read it; at most for so long that nobody waits behind it, then try again.
CREATE OR REPLACE FUNCTION public.pipeline_ensure_partition(day date) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    parent text;
    child text;
    patience text := current_setting('lock_timeout');
    made boolean := false;
BEGIN
    FOREACH parent IN ARRAY ARRAY['pipeline_spans', 'pipeline_traces'] LOOP
        child := parent || to_char(day, '_YYYYMMDD');
        CONTINUE WHEN public.pipeline_has_partition(child);
        PERFORM pg_advisory_xact_lock(hashtextextended('tracequeue.partitions', 0));
        CONTINUE WHEN public.pipeline_has_partition(child);
        IF EXISTS (
            SELECT FROM pg_inherits
            WHERE inhrelid = to_regclass(format('pipeline_parts.%I', child)) AND inhdetachpending
        ) THEN
            SET LOCAL lock_timeout = '200ms';
            EXECUTE format('ALTER TABLE public.%I DETACH PARTITION pipeline_parts.%I FINALIZE', parent, child);
            EXECUTE format('SET LOCAL lock_timeout = %L', patience);
        END IF;
        EXECUTE format('CREATE TABLE IF NOT EXISTS pipeline_parts.%I (LIKE public.%I INCLUDING ALL)', child, parent);
        PERFORM public.pipeline_seal(format('pipeline_parts.%I', child)::regclass);
        EXECUTE format(
            'ALTER TABLE public.%I ATTACH PARTITION pipeline_parts.%I FOR VALUES FROM (%L) TO (%L)',
            parent, child, day || ' 00:00:00+00', (day + 1) || ' 00:00:00+00'
        );
        made := true;
    END LOOP;
    RETURN made;
END
$$;

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
        'public.pipeline_conflicts', 'public.pipeline_losses', 'public.pipeline_settled', 'public.pipeline_replays',
        'public.pipeline_replay_parts', 'public.pipeline_replay_days', 'public.pipeline_replay_numbers'
    ]::regclass[] LOOP
        PERFORM public.pipeline_allow(relation, 'tracequeue_writer', 'SELECT');
        PERFORM public.pipeline_allow(relation, 'tracequeue_writer', 'INSERT');
        PERFORM public.pipeline_allow(relation, 'tracequeue_reader', 'SELECT');
        FOREACH verb IN ARRAY ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE'] LOOP
            PERFORM public.pipeline_allow(relation, 'service_role', verb);
        END LOOP;
    END LOOP;
    FOREACH relation IN ARRAY ARRAY[
        'public.pipeline_traces', 'public.pipeline_emitters', 'public.pipeline_settled', 'public.pipeline_replays',
        'public.pipeline_replay_parts', 'public.pipeline_replay_days', 'public.pipeline_replay_numbers'
    ]::regclass[] LOOP
        PERFORM public.pipeline_allow(relation, 'tracequeue_writer', 'UPDATE');
    END LOOP;
    PERFORM public.pipeline_allow('public.pipeline_frames', 'tracequeue_writer', 'UPDATE', '(dead)');
    PERFORM public.pipeline_allow('public.pipeline_replay_numbers', 'tracequeue_writer', 'DELETE');
    FOR member IN
        SELECT rolname FROM pg_roles WHERE rolname IN ('tracequeue_writer', 'tracequeue_reader', 'service_role')
    LOOP
        -- A replay looks whether its target is of this version.
        IF to_regclass('public.pipeline_migrations') IS NOT NULL THEN
            PERFORM public.pipeline_allow('public.pipeline_migrations', member, 'SELECT');
        END IF;
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
    FOREACH relation IN ARRAY ARRAY[
        'public.pipeline_settled', 'public.pipeline_replays', 'public.pipeline_replay_parts',
        'public.pipeline_replay_days', 'public.pipeline_replay_numbers'
    ]::regclass[] LOOP
        PERFORM public.pipeline_seal(relation);
    END LOOP;
    PERFORM public.pipeline_apply_access();
END
$$;

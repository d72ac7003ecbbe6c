-- Partitions live in a schema of their own: one in public would be an end point of its own on InsForge and Supabase.
CREATE SCHEMA IF NOT EXISTS pipeline_parts;
REVOKE ALL ON SCHEMA pipeline_parts FROM PUBLIC;

-- Row level security on, and nothing for anybody but the owner.
CREATE OR REPLACE FUNCTION public.pipeline_seal(relation regclass) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    client name;
BEGIN
    IF (SELECT relkind IN ('r', 'p') AND NOT relrowsecurity FROM pg_class WHERE oid = relation) THEN
        EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', relation);
    END IF;
    EXECUTE format('REVOKE ALL ON TABLE %s FROM PUBLIC', relation);
    FOR client IN SELECT rolname FROM pg_roles WHERE rolname IN ('anon', 'authenticated') LOOP
        EXECUTE format('REVOKE ALL ON TABLE %s FROM %I', relation, client);
    END LOOP;
END
$$;

-- Looks the name up as rows of the catalog: a cast to regclass may answer from before a lock was waited for.
CREATE OR REPLACE FUNCTION public.pipeline_has_partition(partition_name text) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (
        SELECT FROM pg_inherits
        JOIN pg_class ON pg_class.oid = inhrelid
        JOIN pg_namespace ON pg_namespace.oid = relnamespace
        WHERE relname = partition_name AND nspname = 'pipeline_parts'
    )
$$;

-- Makes the partitions of one UTC day, and says whether there was anything to make. Call it on its own, before the
-- transaction that writes: it runs with the owner's rights, because the worker may not change the schema, and it uses
-- LIKE and ATTACH, because CREATE ... PARTITION OF waits for every open writer.
CREATE OR REPLACE FUNCTION public.pipeline_ensure_partition(day date) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    parent text;
    child text;
    made boolean := false;
BEGIN
    FOREACH parent IN ARRAY ARRAY['pipeline_spans', 'pipeline_traces'] LOOP
        child := parent || to_char(day, '_YYYYMMDD');
        CONTINUE WHEN public.pipeline_has_partition(child);
        PERFORM pg_advisory_xact_lock(hashtextextended('tracequeue.partitions', 0));
        CONTINUE WHEN public.pipeline_has_partition(child);
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

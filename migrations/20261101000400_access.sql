-- Who may do what. The tables hold people's conversations: row level security on everywhere, nothing for anon and
-- authenticated, policies only for our own roles, and for service_role where the server has it.

CREATE OR REPLACE FUNCTION public.pipeline_allow(relation regclass, grantee name, verb text, columns text DEFAULT '')
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    policy text := format('%s_%s', grantee, lower(verb));
    bounds text := CASE verb
        WHEN 'INSERT' THEN 'WITH CHECK (true)' WHEN 'UPDATE' THEN 'USING (true) WITH CHECK (true)' ELSE 'USING (true)'
    END;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = grantee)
        OR EXISTS (SELECT FROM pg_policy WHERE polrelid = relation AND polname = policy) THEN
        RETURN;
    END IF;
    EXECUTE format('GRANT %s %s ON TABLE %s TO %I', verb, columns, relation, grantee);
    EXECUTE format('CREATE POLICY %I ON %s FOR %s TO %I %s', policy, relation, verb, grantee, bounds);
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
        'public.pipeline_traces', 'public.pipeline_spans', 'public.pipeline_frames', 'public.pipeline_emitters'
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
    routine regprocedure;
    client name;
BEGIN
    FOR relation IN SELECT oid FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v') AND relname LIKE 'pipeline\_%'
    LOOP
        PERFORM public.pipeline_seal(relation);
    END LOOP;
    FOR routine IN SELECT oid FROM pg_proc
        WHERE pronamespace = 'public'::regnamespace AND proname LIKE 'pipeline\_%'
    LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', routine);
        FOR client IN SELECT rolname FROM pg_roles WHERE rolname IN ('anon', 'authenticated') LOOP
            EXECUTE format('REVOKE ALL ON FUNCTION %s FROM %I', routine, client);
        END LOOP;
    END LOOP;
    PERFORM public.pipeline_apply_access();
END
$$;

-- Roles of least privilege, where the migrating role may create them. Without them the worker runs as the tables'
-- owner. The migrating role becomes a member, so that its connections can SET ROLE.
DO $$
DECLARE
    role_name text;
    may_create boolean := (SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user);
BEGIN
    IF NOT may_create THEN
        RETURN;
    END IF;
    FOREACH role_name IN ARRAY ARRAY['tracequeue_writer', 'tracequeue_reader'] LOOP
        BEGIN
            IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role_name) THEN
                EXECUTE format('CREATE ROLE %I NOLOGIN', role_name);
            END IF;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL; -- roles belong to the whole server: another database is being migrated at this moment
        END;
        BEGIN
            IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
                EXECUTE format('GRANT %I TO %I', role_name, current_user);
            END IF;
        EXCEPTION WHEN insufficient_privilege OR unique_violation THEN
            NULL; -- made by somebody else: its owner grants it
        END;
    END LOOP;
END
$$;

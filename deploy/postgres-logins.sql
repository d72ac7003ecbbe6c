-- Logins of least privilege for the worker and for those who look, without passwords: nobody can log in until you set
-- them, with `\password tracequeue_worker_login` in psql, so that they stand in no log. Run it after `tracequeue migrate`,
-- as a role that may create roles; running it again changes nothing. A bot needs no login: it talks to Redis only.
DO $$
DECLARE
    needed record;
BEGIN
    FOR needed IN VALUES
        ('tracequeue_worker_login', 'tracequeue_writer'), ('tracequeue_reader_login', 'tracequeue_reader')
    LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = needed.column1) THEN
            EXECUTE format(
                'CREATE ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS', needed.column1
            );
        END IF;
        EXECUTE format('GRANT %I TO %I', needed.column2, needed.column1);
    END LOOP;
END
$$;

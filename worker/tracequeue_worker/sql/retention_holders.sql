-- Who has used the table $1 or its partition $2 in a transaction that is open for more than $3 seconds, longest first.
SELECT DISTINCT
    activity.pid,
    activity.application_name AS application,
    extract(epoch FROM clock_timestamp() - activity.xact_start)::bigint AS seconds
FROM pg_locks AS held
JOIN pg_stat_activity AS activity USING (pid)
WHERE held.locktype = 'relation'
    AND held.granted
    AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND held.relation IN (to_regclass('public.' || $1::text), to_regclass('pipeline_parts.' || $2::text))
    AND activity.pid <> pg_backend_pid()
    AND activity.xact_start < clock_timestamp() - $3::float8 * interval '1 second'
ORDER BY seconds DESC

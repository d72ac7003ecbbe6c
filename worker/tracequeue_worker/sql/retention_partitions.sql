-- The partitions of the days before $1, also those that an earlier run had begun to detach, or had not dropped yet.
SELECT
    child.relname AS name,
    left(child.relname, -9) AS parent,
    to_date(right(child.relname, 8), 'YYYYMMDD') AS day,
    CASE WHEN inhrelid IS NULL THEN 'detached' WHEN inhdetachpending THEN 'detaching' ELSE 'attached' END AS state,
    greatest(child.reltuples, pg_stat_get_live_tuples(child.oid), 0)::bigint AS rows,
    pg_total_relation_size(child.oid) AS bytes
FROM pg_class AS child
JOIN pg_namespace ON pg_namespace.oid = child.relnamespace
LEFT JOIN pg_inherits ON inhrelid = child.oid
WHERE nspname = 'pipeline_parts'
    AND child.relkind = 'r'
    AND child.relname ~ '^pipeline_(spans|traces)_[0-9]{8}$'
    AND right(child.relname, 8) < to_char($1::date, 'YYYYMMDD')
ORDER BY inhrelid IS NOT NULL AND NOT inhdetachpending, right(child.relname, 8), child.relname

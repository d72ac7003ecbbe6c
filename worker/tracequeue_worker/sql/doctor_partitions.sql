-- The days that have a partition of spans, from today on.
SELECT to_date(right(pg_class.relname, 8), 'YYYYMMDD') AS day
FROM pg_inherits
JOIN pg_class ON pg_class.oid = inhrelid
JOIN pg_namespace ON pg_namespace.oid = pg_class.relnamespace
WHERE inhparent = to_regclass('public.pipeline_spans')
    AND nspname = 'pipeline_parts'
    AND to_date(right(pg_class.relname, 8), 'YYYYMMDD') >= (now() AT TIME ZONE 'UTC')::date
ORDER BY day

-- The days that have a partition, from $1 on and before $2. Compared as text, as in `doctor_partitions`.
SELECT DISTINCT to_date(right(pg_class.relname, 8), 'YYYYMMDD') AS day
FROM pg_inherits
JOIN pg_class ON pg_class.oid = inhrelid
JOIN pg_namespace ON pg_namespace.oid = pg_class.relnamespace
WHERE inhparent IN (to_regclass('public.pipeline_spans'), to_regclass('public.pipeline_traces'))
    AND nspname = 'pipeline_parts'
    AND right(pg_class.relname, 8) >= coalesce(to_char($1::date, 'YYYYMMDD'), '')
    AND ($2::date IS NULL OR right(pg_class.relname, 8) < to_char($2::date, 'YYYYMMDD'))
ORDER BY day

-- The days that have a partition of spans, from today on. Compared as text, because Postgres may evaluate the condition
-- for tables with other names, before it joins.
SELECT to_date(right(pg_class.relname, 8), 'YYYYMMDD') AS day
FROM pg_inherits
JOIN pg_class ON pg_class.oid = inhrelid
JOIN pg_namespace ON pg_namespace.oid = pg_class.relnamespace
WHERE inhparent = to_regclass('public.pipeline_spans')
    AND nspname = 'pipeline_parts'
    AND right(pg_class.relname, 8) >= to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD')

-- The days that have a partition of spans or of traces.
SELECT DISTINCT to_date(right(pg_class.relname, 8), 'YYYYMMDD') AS day
FROM pg_inherits
JOIN pg_class ON pg_class.oid = inhrelid
WHERE inhparent IN ('public.pipeline_spans'::regclass, 'public.pipeline_traces'::regclass)
ORDER BY day

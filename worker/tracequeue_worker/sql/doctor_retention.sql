-- The oldest day that has a partition, and the partitions whose detaching was begun and not ended.
SELECT
    min(to_date(right(child.relname, 8), 'YYYYMMDD')) AS oldest,
    coalesce(array_agg(child.relname ORDER BY child.relname) FILTER (WHERE inhdetachpending), '{}') AS detaching
FROM pg_inherits
JOIN pg_class AS child ON child.oid = inhrelid
WHERE inhparent IN (to_regclass('public.pipeline_spans'), to_regclass('public.pipeline_traces'))
    AND child.relname ~ '^pipeline_(spans|traces)_[0-9]{8}$'

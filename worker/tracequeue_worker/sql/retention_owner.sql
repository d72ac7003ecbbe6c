-- Whether this login may change the schema as its owner; null where there is no schema of this version.
SELECT pg_has_role(relowner, 'USAGE')
FROM pg_class
WHERE oid = to_regclass('public.pipeline_spans') AND to_regclass('public.pipeline_settled') IS NOT NULL

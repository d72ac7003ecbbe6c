-- How far the detaching of the partition $1 is; no row where it is dropped. Its name is looked up as rows of the catalog.
SELECT CASE WHEN inhrelid IS NULL THEN 'detached' WHEN inhdetachpending THEN 'detaching' ELSE 'attached' END
FROM pg_class AS child
JOIN pg_namespace ON pg_namespace.oid = child.relnamespace
LEFT JOIN pg_inherits ON inhrelid = child.oid
WHERE nspname = 'pipeline_parts' AND child.relname = $1

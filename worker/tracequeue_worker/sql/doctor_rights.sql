-- What a worker needs and the role $1 may not.
SELECT verb || ' on ' || name AS missing
FROM (VALUES
    ('SELECT', 'pipeline_traces'), ('INSERT', 'pipeline_traces'), ('UPDATE', 'pipeline_traces'),
    ('SELECT', 'pipeline_spans'), ('INSERT', 'pipeline_spans'),
    ('SELECT', 'pipeline_frames'), ('INSERT', 'pipeline_frames'),
    ('SELECT', 'pipeline_emitters'), ('INSERT', 'pipeline_emitters'), ('UPDATE', 'pipeline_emitters'),
    ('INSERT', 'pipeline_conflicts'), ('INSERT', 'pipeline_losses')
) AS needed (verb, name)
WHERE NOT coalesce(has_table_privilege($1, to_regclass('public.' || name)::oid, verb), false)
UNION ALL
SELECT 'UPDATE of dead on pipeline_frames'
WHERE NOT coalesce(has_column_privilege($1, to_regclass('public.pipeline_frames')::oid, 'dead', 'UPDATE'), false)
UNION ALL
SELECT 'EXECUTE on pipeline_ensure_partition'
WHERE NOT coalesce(
    has_function_privilege($1, to_regprocedure('public.pipeline_ensure_partition(date)')::oid, 'EXECUTE'), false
)
UNION ALL
SELECT 'TEMPORARY on the database'
WHERE NOT has_database_privilege($1, current_database(), 'TEMPORARY')

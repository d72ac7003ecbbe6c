-- What lets strangers at the tables: everybody, and the roles that web clients of Supabase and InsForge have.
WITH strangers AS (
    SELECT 0::oid AS oid, 'PUBLIC' AS name
    UNION ALL
    SELECT oid, rolname FROM pg_roles WHERE rolname IN ('anon', 'authenticated')
), ours AS (
    SELECT pg_class.oid, relname, relacl, relkind, relrowsecurity
    FROM pg_class
    JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE relkind IN ('r', 'p', 'v')
        AND (nspname = 'pipeline_parts' OR (nspname = 'public' AND relname LIKE 'pipeline\_%'))
)
SELECT format('%s may %s %s', name, privilege_type, relname) AS hole
FROM ours
CROSS JOIN LATERAL aclexplode(relacl) AS granted
JOIN strangers ON strangers.oid = granted.grantee
UNION ALL
SELECT format('the policy %s of %s lets %s in', polname, relname, name)
FROM pg_policy
JOIN ours ON ours.oid = polrelid
JOIN strangers ON strangers.oid = ANY (polroles)
UNION ALL
SELECT format('row level security is off on %s', relname)
FROM ours
WHERE relkind <> 'v' AND NOT relrowsecurity

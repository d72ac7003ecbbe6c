-- Values beyond 2 KB are compressed where they are stored first: with lz4, if the server was built with it. See
-- docs/decisions/0014-payloads-are-compressed-with-lz4.md.
SELECT set_config('default_toast_compression', 'lz4', FALSE)
FROM pg_settings
WHERE name = 'default_toast_compression' AND 'lz4' = ANY (enumvals)

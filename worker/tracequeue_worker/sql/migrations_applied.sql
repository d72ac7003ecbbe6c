SELECT version, name, checksum, applied_at FROM public.pipeline_migrations ORDER BY version

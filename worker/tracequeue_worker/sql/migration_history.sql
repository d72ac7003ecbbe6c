CREATE TABLE IF NOT EXISTS public.pipeline_migrations (
    version text PRIMARY KEY,
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE public.pipeline_migrations ENABLE ROW LEVEL SECURITY;

SELECT public.pipeline_ensure_partition($1)

SELECT public.pipeline_seal('public.pipeline_migrations'), public.pipeline_apply_access()

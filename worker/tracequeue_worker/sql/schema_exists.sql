SELECT to_regclass('public.pipeline_frames') IS NOT NULL

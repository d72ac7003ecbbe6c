SELECT coalesce(sum(events), 0) / 60.0
FROM public.pipeline_frames
WHERE committed_at > now() - interval '1 minute'

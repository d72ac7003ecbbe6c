-- How many replays retention_replays.sql would forget.
SELECT count(*) FROM public.pipeline_replays WHERE finished_at < $1

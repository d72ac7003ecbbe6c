-- Whether a replay ($1) was finished, or is forgotten.
SELECT NOT EXISTS (SELECT FROM public.pipeline_replays WHERE replay_id = $1 AND finished_at IS NULL)

-- A replay has read all of its source.
UPDATE public.pipeline_replays SET finished_at = now() WHERE replay_id = $1 AND finished_at IS NULL

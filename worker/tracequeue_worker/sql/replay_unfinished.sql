-- The unfinished replay of a source and a selection.
SELECT replay_id FROM public.pipeline_replays WHERE source = $1 AND selection = $2 AND finished_at IS NULL

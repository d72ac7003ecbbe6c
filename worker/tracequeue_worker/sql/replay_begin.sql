-- Begins a replay ($1), unless one of the same source ($2) and selection ($3) is unfinished.
INSERT INTO public.pipeline_replays (replay_id, source, selection)
VALUES ($1, $2, $3)
ON CONFLICT (source, selection) WHERE finished_at IS NULL DO NOTHING
RETURNING replay_id

-- Forgets which frame numbers finished replays read; one that has just finished may be reported on by another process.
DELETE FROM public.pipeline_replay_numbers
WHERE replay_id IN (
    SELECT replay_id FROM public.pipeline_replays WHERE finished_at < now() - interval '1 hour'
)

-- Forgets replays that were finished before $1, with all that was written down of them.
WITH old AS (
    DELETE FROM public.pipeline_replays WHERE finished_at < $1 RETURNING replay_id
),
parts AS (
    DELETE FROM public.pipeline_replay_parts WHERE replay_id IN (SELECT replay_id FROM old)
),
days AS (
    DELETE FROM public.pipeline_replay_days WHERE replay_id IN (SELECT replay_id FROM old)
),
numbers AS (
    DELETE FROM public.pipeline_replay_numbers WHERE replay_id IN (SELECT replay_id FROM old)
)
SELECT count(*) FROM old

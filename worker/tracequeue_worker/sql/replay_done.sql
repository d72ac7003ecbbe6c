-- How much of a part ($2) a replay ($1) has read; null where it was finished, nothing where it is forgotten. One
-- statement: another process may finish it between two.
SELECT CASE WHEN replay.finished_at IS NULL THEN coalesce(part.done, 0) END
FROM public.pipeline_replays AS replay
LEFT JOIN public.pipeline_replay_parts AS part ON part.replay_id = replay.replay_id AND part.part = $2
WHERE replay.replay_id = $1

-- How far a part ($2) of a replay ($1) is; nothing where the replay is finished.
SELECT part.position, part.done
FROM public.pipeline_replay_parts AS part
JOIN public.pipeline_replays AS replay USING (replay_id)
WHERE part.replay_id = $1 AND part.part = $2 AND replay.finished_at IS NULL

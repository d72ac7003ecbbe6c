-- As `replay_place`, and nobody else writes for this replay until the transaction ends: one batch at a time. The part is
-- locked too: only so is it seen as whoever was waited for left it.
SELECT part.position, part.dead
FROM public.pipeline_replays AS replay
JOIN public.pipeline_replay_parts AS part USING (replay_id)
WHERE part.replay_id = $1 AND part.part = $2 AND replay.finished_at IS NULL
FOR UPDATE OF replay, part

-- Writes down which events of frames are still dead letters after some were retried.
UPDATE public.pipeline_frames AS frame
SET dead = retried.dead
FROM unnest($1::uuid[], $2::integer[], $3::bigint[], $4::jsonb[]) AS retried (emitter_id, partition, seq, dead)
WHERE (frame.emitter_id, frame.partition, frame.seq) = (retried.emitter_id, retried.partition, retried.seq)

-- What the ledger says of frames, also of those that retention took out of it.
SELECT frame.emitter_id, frame.partition, frame.seq, kept.digest, coalesce(kept.dead, '[]') AS dead
FROM unnest($1::uuid[], $2::integer[], $3::bigint[]) AS frame (emitter_id, partition, seq)
LEFT JOIN public.pipeline_frames AS kept
    ON (kept.emitter_id, kept.partition, kept.seq) = (frame.emitter_id, frame.partition, frame.seq)
LEFT JOIN public.pipeline_settled AS settled
    ON (settled.emitter_id, settled.partition) = (frame.emitter_id, frame.partition)
    AND settled.numbers @> frame.seq
WHERE kept.digest IS NOT NULL OR settled.numbers IS NOT NULL

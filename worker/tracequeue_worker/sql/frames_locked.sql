-- What the ledger says of frames with a retried dead letter, locked because their `dead` is about to change.
SELECT emitter_id, partition, seq, digest, entry_id, dead
FROM public.pipeline_frames
WHERE (emitter_id, partition, seq) IN (SELECT * FROM unnest($1::uuid[], $2::integer[], $3::bigint[]))
ORDER BY emitter_id, partition, seq
FOR UPDATE

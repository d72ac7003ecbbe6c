-- What the ledger says of frames that were delivered before.
SELECT emitter_id, partition, seq, digest, entry_id, dead
FROM public.pipeline_frames
WHERE (emitter_id, partition, seq) IN (SELECT * FROM unnest($1::uuid[], $2::integer[], $3::bigint[]))

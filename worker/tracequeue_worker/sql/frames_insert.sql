-- Enters frames into the ledger, and returns those that were not there.
INSERT INTO public.pipeline_frames (emitter_id, partition, seq, digest, stream, entry_id, events, dead)
SELECT *
FROM unnest($1::uuid[], $2::integer[], $3::bigint[], $4::bytea[], $5::text[], $6::text[], $7::integer[], $8::jsonb[])
    AS frame (emitter_id, partition, seq, digest, stream, entry_id, events, dead)
ORDER BY emitter_id, partition, seq
ON CONFLICT DO NOTHING
RETURNING emitter_id, partition, seq

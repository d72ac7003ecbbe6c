-- Writes down frames that have the number of another one, each once however often it is delivered.
INSERT INTO public.pipeline_conflicts (emitter_id, partition, seq, digest, stream, entry_id, events)
SELECT *
FROM unnest($1::uuid[], $2::integer[], $3::bigint[], $4::bytea[], $5::text[], $6::text[], $7::integer[])
    AS frame (emitter_id, partition, seq, digest, stream, entry_id, events)
ON CONFLICT DO NOTHING

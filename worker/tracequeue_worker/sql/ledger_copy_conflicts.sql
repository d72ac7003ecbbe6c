-- Frames with the number of another one, as another database knows them.
INSERT INTO public.pipeline_conflicts
SELECT *
FROM jsonb_populate_recordset(NULL::public.pipeline_conflicts, $1::jsonb)
ORDER BY emitter_id, partition, seq, digest
ON CONFLICT DO NOTHING

-- The pruned part of the ledger of another database.
INSERT INTO public.pipeline_settled
SELECT *
FROM jsonb_populate_recordset(NULL::public.pipeline_settled, $1::jsonb)
ORDER BY emitter_id, partition
ON CONFLICT DO NOTHING

-- What the ledger of another database says of frames. What this one knows better, or has pruned, stays as it is.
INSERT INTO public.pipeline_frames
SELECT copied.*
FROM jsonb_populate_recordset(NULL::public.pipeline_frames, $1::jsonb) AS copied
WHERE NOT EXISTS (
    SELECT FROM public.pipeline_settled AS settled
    WHERE (settled.emitter_id, settled.partition) = (copied.emitter_id, copied.partition)
        AND settled.numbers @> copied.seq
)
ORDER BY emitter_id, partition, seq
ON CONFLICT DO NOTHING

SELECT coalesce(sum(events), 0) / 60.0 AS rate
FROM public.pipeline_frames AS frame
WHERE committed_at > now() - interval '1 minute'
    AND NOT EXISTS (
        SELECT FROM public.pipeline_settled AS settled
        WHERE settled.emitter_id = frame.emitter_id
            AND settled.partition = frame.partition
            AND settled.numbers @> frame.seq
    )

-- The pruned numbers of emitters of which some are among frames that were found waiting, given as ranges.
SELECT emitter_id, partition, numbers
FROM public.pipeline_settled AS settled
WHERE EXISTS (
    SELECT
    FROM unnest($1::uuid[], $2::integer[], $3::bigint[], $4::bigint[]) AS waiting (emitter_id, partition, first, last)
    WHERE waiting.emitter_id = settled.emitter_id
        AND waiting.partition = settled.partition
        AND waiting.last < 9223372036854775807
        AND settled.numbers && int8range(waiting.first, waiting.last, '[]')
)

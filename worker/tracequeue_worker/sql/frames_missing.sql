-- Frame numbers below the highest known one that are neither in the ledger, nor pruned from it, nor among those that wait,
-- as ranges.
WITH known AS (
    SELECT emitter_id, partition, range_agg(int8range(first, last, '[]')) AS numbers
    FROM (
        SELECT emitter_id, partition, seq AS first, seq AS last
        FROM public.pipeline_frames
        WHERE seq > 0 AND ($5::uuid IS NULL OR emitter_id = $5) AND starts_with(stream, $6)
        UNION ALL
        SELECT emitter_id, partition, lower(pruned), upper(pruned) - 1
        FROM public.pipeline_settled
        CROSS JOIN unnest(numbers) AS pruned
        WHERE ($5::uuid IS NULL OR emitter_id = $5) AND starts_with(stream, $6)
        UNION ALL
        SELECT * FROM unnest($1::uuid[], $2::integer[], $3::bigint[], $4::bigint[])
    ) AS frame
    WHERE last < 9223372036854775807 -- a range cannot end behind it
    GROUP BY emitter_id, partition
)
SELECT emitter_id, partition, int8multirange(int8range(1, upper(numbers))) - numbers AS missing
FROM known
WHERE NOT isempty(int8multirange(int8range(1, upper(numbers))) - numbers)
ORDER BY emitter_id, partition

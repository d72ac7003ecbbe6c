-- Which of some frame numbers a replay ($1) has read before. The ranges are unpacked once (`+ '{}'`), not for each frame.
WITH seen AS MATERIALIZED (
    SELECT emitter_id, partition, numbers + '{}' AS numbers
    FROM public.pipeline_replay_numbers
    WHERE replay_id = $1 AND emitter_id = ANY ($2::uuid[])
)
SELECT frame.emitter_id, frame.partition, frame.seq
FROM unnest($2::uuid[], $3::integer[], $4::bigint[]) AS frame (emitter_id, partition, seq)
JOIN seen
    ON (seen.emitter_id, seen.partition) = (frame.emitter_id, frame.partition)
    AND seen.numbers @> frame.seq

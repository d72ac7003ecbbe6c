-- Which of some frame numbers a replay ($1) has read before.
SELECT frame.emitter_id, frame.partition, frame.seq
FROM unnest($2::uuid[], $3::integer[], $4::bigint[]) AS frame (emitter_id, partition, seq)
JOIN public.pipeline_replay_numbers AS seen
    ON (seen.replay_id, seen.emitter_id, seen.partition) = ($1, frame.emitter_id, frame.partition)
    AND seen.numbers @> frame.seq

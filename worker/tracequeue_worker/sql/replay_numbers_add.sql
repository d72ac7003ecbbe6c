-- Adds frame numbers to those that a replay ($1) has read.
INSERT INTO public.pipeline_replay_numbers AS seen (replay_id, emitter_id, partition, numbers)
SELECT $1::uuid, emitter_id, partition, range_agg(int8range(seq, seq, '[]'))
FROM unnest($2::uuid[], $3::integer[], $4::bigint[]) AS frame (emitter_id, partition, seq)
WHERE seq < 9223372036854775807 -- a range cannot end behind it
GROUP BY emitter_id, partition
ORDER BY emitter_id, partition
ON CONFLICT (replay_id, emitter_id, partition) DO UPDATE SET numbers = seen.numbers + excluded.numbers

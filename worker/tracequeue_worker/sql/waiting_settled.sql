-- Of frames that were found waiting, by ranges of their numbers: how many events the store has by now.
SELECT waiting.emitter_id, waiting.place, sum(frame.events)::bigint AS events
FROM unnest($1::uuid[], $2::text[], $3::integer[], $4::bigint[], $5::bigint[])
    AS waiting (emitter_id, place, partition, first, last)
JOIN public.pipeline_frames AS frame
    ON frame.emitter_id = waiting.emitter_id
    AND frame.partition = waiting.partition
    AND frame.seq BETWEEN waiting.first AND waiting.last
GROUP BY waiting.emitter_id, waiting.place

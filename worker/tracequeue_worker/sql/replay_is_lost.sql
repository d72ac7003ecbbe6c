-- Whether the ledger knows nothing of some frame that a replay ($1) has read: somebody emptied the tables meanwhile.
SELECT EXISTS (
    SELECT
    FROM public.pipeline_replay_numbers AS seen
    LEFT JOIN public.pipeline_settled AS settled USING (emitter_id, partition)
    CROSS JOIN LATERAL (
        SELECT range_agg(int8range(frame.seq, frame.seq, '[]')) AS numbers
        FROM public.pipeline_frames AS frame
        WHERE frame.emitter_id = seen.emitter_id
            AND frame.partition = seen.partition
            AND frame.seq < 9223372036854775807 -- a range cannot end behind it
    ) AS stored
    WHERE seen.replay_id = $1
        AND NOT isempty(seen.numbers - coalesce(settled.numbers, '{}') - coalesce(stored.numbers, '{}'))
)

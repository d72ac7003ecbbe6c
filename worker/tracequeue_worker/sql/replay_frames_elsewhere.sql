-- How many frames of a stream ($2), of entries up to one ($3; null: all), this database knows that a replay ($1) did not
-- read. What was pruned and came again counts once.
SELECT
    (
        SELECT count(*)
        FROM public.pipeline_frames AS frame
        LEFT JOIN public.pipeline_replay_numbers AS seen
            ON (seen.replay_id, seen.emitter_id, seen.partition) = ($1, frame.emitter_id, frame.partition)
        LEFT JOIN public.pipeline_settled AS settled
            ON (settled.emitter_id, settled.partition) = (frame.emitter_id, frame.partition)
        WHERE frame.stream = $2
            AND NOT coalesce(seen.numbers @> frame.seq, false)
            AND NOT coalesce(settled.numbers @> frame.seq, false)
            AND CASE
                WHEN $3::text IS NULL THEN true
                WHEN frame.entry_id ~ '^[0-9]+-[0-9]+$'
                    THEN string_to_array(frame.entry_id, '-')::numeric[] <= string_to_array($3, '-')::numeric[]
                ELSE false -- it came from somewhere else
            END
    ) + (
        SELECT coalesce(sum(upper(numbers) - lower(numbers)), 0)
        FROM (
            SELECT unnest(settled.numbers - coalesce(seen.numbers, '{}')) AS numbers
            FROM public.pipeline_settled AS settled
            LEFT JOIN public.pipeline_replay_numbers AS seen
                ON (seen.replay_id, seen.emitter_id, seen.partition) = ($1, settled.emitter_id, settled.partition)
            WHERE settled.stream = $2
        ) AS pruned
    )

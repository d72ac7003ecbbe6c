-- How many frames of a stream ($2) this database knows that a replay ($1) did not read.
SELECT
    (
        SELECT count(*)
        FROM public.pipeline_frames AS frame
        LEFT JOIN public.pipeline_replay_numbers AS seen
            ON (seen.replay_id, seen.emitter_id, seen.partition) = ($1, frame.emitter_id, frame.partition)
        WHERE frame.stream = $2 AND NOT coalesce(seen.numbers @> frame.seq, false)
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

-- How many frames retention_fold.sql would fold.
SELECT count(*)
FROM public.pipeline_frames
WHERE seq > 0
    AND seq < 9223372036854775807
    AND committed_at < $1
    AND (dead = '[]' OR committed_at < $2)

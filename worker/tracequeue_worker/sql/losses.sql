-- What workers saw disappear from the streams before it was stored.
SELECT stream, reason, sum(frames)::bigint AS frames, min(detected_at) AS first_detected, max(detected_at) AS last_detected
FROM public.pipeline_losses
WHERE starts_with(stream, $1)
GROUP BY stream, reason
ORDER BY stream, reason

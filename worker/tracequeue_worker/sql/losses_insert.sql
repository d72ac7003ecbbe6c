INSERT INTO public.pipeline_losses (detected_at, stream, reason, frames, worker)
SELECT detected_at, stream, reason, frames, $5::text
FROM unnest($1::timestamptz[], $2::text[], $3::text[], $4::bigint[]) AS loss (detected_at, stream, reason, frames)

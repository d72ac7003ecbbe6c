-- The parts of a replay, as far as they are not known.
INSERT INTO public.pipeline_replay_parts (replay_id, part)
SELECT $1::uuid, part FROM unnest($2::text[]) AS parts (part) ORDER BY part
ON CONFLICT DO NOTHING

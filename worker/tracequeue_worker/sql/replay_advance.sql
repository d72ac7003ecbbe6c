-- A part ($2) of a replay ($1) is stored up to a position; what was found on the way is added.
UPDATE public.pipeline_replay_parts
SET
    position = $3,
    done = done + $4,
    frames = frames + $5,
    events = events + $6,
    written = written + $7,
    present = present + $8,
    dead = $9
WHERE replay_id = $1 AND part = $2

-- Takes the rows of frames that are stored already out of the batch.
DELETE FROM pg_temp.staged_spans WHERE frame = ANY ($1::integer[])

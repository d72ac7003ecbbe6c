-- Takes the rows of frames that are stored already out of the batch, as `spans_withdraw` does.
DELETE FROM pg_temp.staged_traces WHERE frame = ANY ($1::integer[])

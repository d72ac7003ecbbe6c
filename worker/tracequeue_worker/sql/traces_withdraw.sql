DELETE FROM pg_temp.staged_traces WHERE frame = ANY ($1::integer[])

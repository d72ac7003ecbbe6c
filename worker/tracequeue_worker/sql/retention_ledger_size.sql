-- How many pages the ledger has.
SELECT pg_relation_size('public.pipeline_frames') / current_setting('block_size')::bigint

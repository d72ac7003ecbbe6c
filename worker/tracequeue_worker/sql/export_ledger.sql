-- The rows of a table of the ledger as JSON, as they stand there. Its name stands for the braces.
SELECT to_jsonb(kept)::text FROM public.{table} AS kept

-- Emitters as another database knows them.
SELECT
    emitter_id, service, environment, release, host, pid, started_at, last_seen, emitted, spooled, dropped, lost
FROM jsonb_populate_recordset(NULL::public.pipeline_emitters, $1::jsonb)

-- Emitters as the frames of a batch speak of them; when each was last seen is in milliseconds since the epoch.
SELECT
    emitter_id,
    service,
    environment,
    release,
    host,
    pid,
    started_at,
    timestamptz 'epoch' + last_seen / 1000 * interval '1 second' + last_seen % 1000 * interval '1 millisecond'
        AS last_seen,
    emitted,
    spooled,
    dropped,
    lost
FROM unnest(
    $1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::timestamptz[], $8::bigint[], $9::bigint[],
    $10::bigint[], $11::bigint[], $12::jsonb[]
) AS seen (
    emitter_id, service, environment, release, host, pid, started_at, last_seen, emitted, spooled, dropped, lost
)

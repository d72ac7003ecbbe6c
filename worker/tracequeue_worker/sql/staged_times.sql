-- Between which times the staged rows of a table begin.
SELECT
    timestamptz 'epoch' + first / 1000000 * interval '1 second' + first % 1000000 * interval '1 microsecond' AS first,
    timestamptz 'epoch' + last / 1000000 * interval '1 second' + last % 1000000 * interval '1 microsecond' AS last
FROM (SELECT min(start_time), max(start_time) FROM pg_temp.{table}) AS times (first, last)

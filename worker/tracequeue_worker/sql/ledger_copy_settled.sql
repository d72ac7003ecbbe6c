-- The pruned part of the ledger of another database. Where this one has pruned frames of the emitter too, whichever knows
-- all that the other knows stands, and what has nothing in common is added. Where neither is so nobody can say how many
-- events are in both, and what is known here stays: the audit names the rest.
INSERT INTO public.pipeline_settled AS kept
SELECT DISTINCT ON (emitter_id, partition) *
FROM jsonb_populate_recordset(NULL::public.pipeline_settled, $1::jsonb)
ORDER BY emitter_id, partition
ON CONFLICT (emitter_id, partition) DO UPDATE SET
    numbers = kept.numbers + excluded.numbers,
    events = CASE WHEN excluded.numbers @> kept.numbers THEN 0 ELSE kept.events END + excluded.events,
    dead = CASE WHEN excluded.numbers @> kept.numbers THEN 0 ELSE kept.dead END + excluded.dead
WHERE NOT kept.numbers @> excluded.numbers
    AND (excluded.numbers @> kept.numbers OR NOT kept.numbers && excluded.numbers)

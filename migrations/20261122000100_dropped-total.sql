-- How many events an emitter dropped, as one number beside the reasons: of these only the most frequent are kept.
ALTER TABLE public.pipeline_emitters ADD COLUMN IF NOT EXISTS dropped bigint;

UPDATE public.pipeline_emitters SET dropped = least(
    (SELECT coalesce(sum(value::numeric), 0) FROM jsonb_each_text(lost)), 9223372036854775807
)
WHERE dropped IS NULL;

ALTER TABLE public.pipeline_emitters ALTER COLUMN dropped SET DEFAULT 0;
ALTER TABLE public.pipeline_emitters ALTER COLUMN dropped SET NOT NULL;

COMMENT ON COLUMN public.pipeline_emitters.dropped IS 'Events that it dropped, whatever the reason, its own cumulative count.';

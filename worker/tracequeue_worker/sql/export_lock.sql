-- Days must not be dropped while they are read; rows may be written.
LOCK TABLE public.pipeline_spans, public.pipeline_traces IN ACCESS SHARE MODE

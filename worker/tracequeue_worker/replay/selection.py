"""Which events of a source are wanted."""

import json
from dataclasses import dataclass

from tracequeue_worker.bounds import Bounds
from tracequeue_worker.records import TraceRow

EVERYTHING = Bounds()


@dataclass(frozen=True, slots=True)
class Selection:
    """Those between bounds, and of traces of a pipeline and of a user of Telegram, where these are given."""

    bounds: Bounds = EVERYTHING
    pipeline: str | None = None
    telegram_id: int | None = None

    @property
    def by_trace(self) -> bool:
        """Whether it must be known of every event whose trace it is."""
        return self.pipeline is not None or self.telegram_id is not None

    def wants(self, trace: TraceRow) -> bool:
        """Whether the trace of a started or ended event is wanted."""
        right_pipeline = self.pipeline in (None, trace.pipeline_name)
        return right_pipeline and self.telegram_id in (None, trace.telegram_id)

    @property
    def text(self) -> str:
        """In words, the same for the same selection; empty where it is everything."""
        words = [self.bounds.text] if self.bounds else []
        if self.pipeline is not None:
            words.append(f"pipeline {json.dumps(self.pipeline)}")
        if self.telegram_id is not None:
            words.append(f"telegram-id {self.telegram_id}")
        return " ".join(words)

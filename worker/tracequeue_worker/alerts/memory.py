"""What one admin chat was told, and what it is to be told next: each alert begins, may get worse, and is over."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from tracequeue_worker.alerts.dead_letters import LettersSeen
from tracequeue_worker.alerts.findings import Finding, Sight
from tracequeue_worker.alerts.rules import AlertRules
from tracequeue_worker.alerts.wording import shown_span

Kind = Literal["begins", "worse", "lasts", "over", "passed"]


class Told(BaseModel):
    """What was told last of an alert, and how bad it was then."""

    at: datetime
    worse_from: float | None
    kinds: set[str]


class Episode(BaseModel):
    """An alert from its beginning until the chat knows that it is over."""

    subject: str
    detail: str
    began: datetime
    weight: float
    worse_from: float | None
    kinds: set[str]
    calm_since: datetime | None = None
    over: bool = False
    told: Told | None = None


class Memory(BaseModel):
    """Of one chat: the alerts that go on, how far dead letters are known, and when the last look was."""

    episodes: dict[str, Episode] = Field(default_factory=dict)
    letters: LettersSeen = Field(default_factory=LettersSeen)
    looked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """One alert to be told. `passed`: over before anybody could be told of it."""

    key: str
    kind: Kind
    html: str


def take_in(memory: Memory, sight: Sight, rules: AlertRules, now: datetime) -> None:
    """Bring the alerts up to date with what a look found."""
    for finding in sight.findings:
        if finding.state == "wrong":
            _goes_on(memory, finding, now)
    for key, episode in memory.episodes.items():
        finding = sight.of(key)
        if finding.state == "well" and not episode.over:
            _calms_down(episode, finding, rules, now)
        elif finding.state == "undecided" and not episode.over:
            episode.calm_since = None


def _goes_on(memory: Memory, finding: Finding, now: datetime) -> None:
    episode = memory.episodes.get(finding.key)
    began, told = (episode.began, episode.told) if episode else (now, None)
    memory.episodes[finding.key] = Episode(
        subject=finding.subject, detail=finding.detail, began=began, weight=finding.weight,
        worse_from=finding.worse_from, kinds=set(finding.kinds), told=told,
    )  # fmt: skip


def _calms_down(episode: Episode, finding: Finding, rules: AlertRules, now: datetime) -> None:
    episode.calm_since = episode.calm_since or now
    if now - episode.calm_since >= rules.calm:
        episode.over = True
        if episode.told:
            episode.detail = finding.detail


def to_tell(memory: Memory, rules: AlertRules, now: datetime) -> list[Notice]:
    """What the chat does not know yet, what is new before what is over."""
    notices = []
    for key, episode in memory.episodes.items():
        kind = _kind(episode, rules, now)
        if kind is not None:
            notices.append(Notice(key, kind, _html(episode, kind, now)))
    return sorted(notices, key=lambda notice: notice.kind in ("over", "passed"))


def note_told(memory: Memory, notice: Notice, now: datetime) -> None:
    """The chat knows it."""
    if notice.kind in ("over", "passed"):
        del memory.episodes[notice.key]
        return
    episode = memory.episodes[notice.key]
    episode.told = Told(at=now, worse_from=episode.worse_from, kinds=episode.kinds)


def _kind(episode: Episode, rules: AlertRules, now: datetime) -> Kind | None:
    told = episode.told
    if episode.over:
        return "over" if told else "passed"
    if episode.calm_since is not None:
        return None
    if told is None:
        return "begins"
    if episode.kinds - told.kinds or (told.worse_from is not None and episode.weight >= told.worse_from):
        return "worse"
    return "lasts" if rules.reminder is not None and now - told.at >= rules.reminder else None


def _html(episode: Episode, kind: Kind, now: datetime) -> str:
    lasted = shown_span((episode.calm_since or now) - episode.began)
    head = {
        "begins": f"🔴 <b>{episode.subject}</b>" + (f", for {lasted}" if now > episode.began else ""),
        "worse": f"🔴 <b>{episode.subject}</b>, worse than told before",
        "lasts": f"🔴 <b>{episode.subject}</b>, still, for {lasted}",
        "over": f"🟢 Over after {lasted}: <b>{episode.subject}</b>",
        "passed": f"🟡 Over before it could be told: <b>{episode.subject}</b>, "
        f"from {episode.began:%Y-%m-%d %H:%M} UTC for {lasted}",
    }[kind]
    return f"{head}\n{episode.detail}" if episode.detail else head

"""Redaction of generated events: a second pass changes nothing, and no secret gets through anywhere."""

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fixtures.secrets import FORMS, HEARTS, PLAIN_KEYS, SECRET_KEYS, SPAN, frame
from tracequeue.events import ANY_EVENT
from tracequeue.redaction import redact, secrets
from tracequeue.redaction.prefilter import suspicious_lines

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | TEXT | st.sampled_from(list(FORMS.values())),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(TEXT | st.sampled_from([*SECRET_KEYS, *PLAIN_KEYS, *FORMS.values()]), inner, max_size=4)
    ),
    max_leaves=12,
)


EVENTS = st.builds(
    lambda value, error, attributes: SPAN | {"input_data": value, "error": error, "attributes": attributes},
    JSON,
    TEXT,
    st.dictionaries(TEXT | st.sampled_from(SECRET_KEYS), JSON, max_size=3),
)


@given(st.lists(EVENTS, max_size=4))
@settings(max_examples=200, deadline=None)
def test_redaction_is_idempotent_and_keeps_events_valid(events: list[dict[str, Any]]) -> None:
    once = redact(frame(*events))
    assert redact(once) == once
    lines = once.split(b"\n")
    assert len(lines) == len(events) + 1
    for line in lines[:-1]:
        ANY_EVENT.validate_json(line)


@given(EVENTS, st.sampled_from(list(FORMS)), TEXT, TEXT, st.data())
@settings(max_examples=300, deadline=None)
def test_no_secret_leaks_from_a_random_place(
    event: dict[str, Any], name: str, before: str, after: str, data: st.DataObject
) -> None:
    text = f"{before} {FORMS[name]} {after}"
    planted = plant(event["input_data"], text, data)
    line = redact(frame(event | {"input_data": planted}))
    assert HEARTS[name] not in line.decode()


def plant(value: Any, text: str, data: st.DataObject) -> Any:
    """The value with the text somewhere in it: as an item, a member or a key."""
    if isinstance(value, list) and value and data.draw(st.booleans()):
        index = data.draw(st.integers(0, len(value) - 1))
        return [*value[:index], plant(value[index], text, data), *value[index + 1 :]]
    if isinstance(value, dict) and value and data.draw(st.booleans()):
        key = data.draw(st.sampled_from(sorted(value)))
        return value | {key: plant(value[key], text, data)}
    return data.draw(st.sampled_from([text, [value, text], {text: value}, {"note": text, "was": value}]))


@pytest.mark.parametrize(("literal", "form"), secrets.FORMS, ids=lambda given: given if type(given) is str else "")
@given(st.data())
@settings(max_examples=60, deadline=None)
def test_the_prefilter_knows_the_shortest_of_each_form(
    literal: str, form: re.Pattern[str], data: st.DataObject
) -> None:
    text = data.draw(st.from_regex(form).filter(lambda made: secrets.hide(made)[1] > 0))
    for content in (text, {text: 1}):
        body = frame(SPAN, SPAN | {"input_data": content}, SPAN)
        assert suspicious_lines(body) == [1], literal


@pytest.mark.parametrize("ending", secrets.SECRET_KEY_ENDINGS)
@pytest.mark.parametrize("letter", ["k", "K", "\N{KELVIN SIGN}"])
def test_the_prefilter_knows_all_endings_of_keys_whatever_their_case(ending: str, letter: str) -> None:
    for key in (ending, ending.upper(), ending.title(), "a\n" + ending.replace("k", letter)):
        assert secrets.is_secret(key, "x")
        assert suspicious_lines(frame(SPAN | {"input_data": {key: "x"}})) == [0]


@given(st.lists(EVENTS, max_size=5))
@settings(max_examples=150, deadline=None)
def test_the_prefilter_misses_no_line(events: list[dict[str, Any]]) -> None:
    body = frame(*events)
    chosen = set(suspicious_lines(body))
    for index, event in enumerate(events):
        alone = frame(event)
        everything = redact(alone, lambda seen: seen)
        if b"[redacted]" in everything and b"[redacted]" not in alone:
            assert index in chosen

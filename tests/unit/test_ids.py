"""Ids: UUIDv7 and W3C span ids; in order, unique also across a fork, and nobody's seed disturbs them."""

import os
import random
import re
from time import time_ns
from uuid import RFC_4122

from tracequeue.ids import new_span_id, new_trace_id


def test_a_trace_id_is_a_uuid_of_version_7_of_this_moment() -> None:
    before = time_ns() // 1_000_000
    made = new_trace_id()
    after = time_ns() // 1_000_000
    assert (made.version, made.variant) == (7, RFC_4122)
    assert before <= made.int >> 80 <= after


def test_every_random_bit_is_used() -> None:
    made = [new_trace_id().int for _ in range(2_000)]
    fixed = (0xF << 76) | (0x3 << 62) | (0xFFFF_FFFF_FFFF << 80)
    ones, zeros = 0, 0
    for number in made:
        ones |= number
        zeros |= ~number
    assert ones & zeros & ((1 << 128) - 1) | fixed == (1 << 128) - 1


def test_ids_of_later_milliseconds_come_later() -> None:
    made = []
    while len({one.int >> 80 for one in made}) < 5:
        made.append(new_trace_id())
    milliseconds = [one.int >> 80 for one in made]
    assert milliseconds == sorted(milliseconds)
    firsts = {one.int >> 80: one for one in reversed(made)}
    assert sorted(firsts.values()) == [firsts[one] for one in sorted(firsts)]


def test_a_span_id_is_16_lower_case_hex_digits() -> None:
    made = {new_span_id() for _ in range(10_000)}
    assert len(made) == 10_000
    assert all(re.fullmatch(rb"[0-9a-f]{16}", one) for one in made)
    assert bytes(16) not in made


def test_a_bots_seed_makes_no_id_twice_and_is_not_used_up() -> None:
    made = []
    for _ in range(2):
        random.seed(0)
        made += [new_trace_id().int & (1 << 62) - 1, new_span_id()]
        assert random.random() == random.Random(0).random()
    assert len(set(made)) == 4


def test_after_a_fork_parent_and_child_make_different_ids() -> None:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(b"".join(new_span_id() for _ in range(100)))
        os._exit(0)
    os.close(writing)
    mine = {new_span_id() for _ in range(100)}
    with os.fdopen(reading, "rb") as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    theirs = {text[start : start + 16] for start in range(0, len(text), 16)}
    assert len(theirs) == 100
    assert not mine & theirs

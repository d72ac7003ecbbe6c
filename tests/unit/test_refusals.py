"""When refusals by the store are too many to be single bad records."""

from tests.fixtures.decoded import decoded, span_row
from tracequeue_worker.records import DecodedFrame, Rejection
from tracequeue_worker.refusals import MOST_IN_A_ROW, MOST_IN_WINDOW, WINDOW, Refusals, refused_by_store


def frame(records: int) -> DecodedFrame:
    return decoded(*(span_row() for _ in range(records)))


def refusals(*lines: int) -> list[Rejection]:
    return [Rejection(line, "store:23514", "no") for line in lines]


def test_a_row_goes_on_from_frame_to_frame() -> None:
    history = Refusals()
    history.add(frame(MOST_IN_A_ROW - 1), refusals(*range(MOST_IN_A_ROW - 1)))
    assert not history.too_many
    history.add(frame(1), refusals(0))
    assert history.too_many
    assert str(history) == "the store refused 100 records in a row: no (store:23514)"


def test_one_stored_record_ends_a_row() -> None:
    history = Refusals()
    history.add(frame(MOST_IN_A_ROW), refusals(*range(MOST_IN_A_ROW - 1)))
    history.add(frame(MOST_IN_A_ROW - 1), refusals(*range(MOST_IN_A_ROW - 1)))
    assert not history.too_many
    history.add(frame(1), refusals(0))
    assert history.too_many


def test_more_than_half_of_the_latest_records() -> None:
    history = Refusals()
    for number in range(MOST_IN_WINDOW + 1):
        assert not history.too_many, number
        history.add(frame(1), [])
        history.add(frame(1), refusals(0))
    assert history.too_many == (WINDOW % 2 == 1 or MOST_IN_WINDOW * 2 > WINDOW)


def test_two_of_three_is_too_much_only_after_many() -> None:
    history = Refusals()
    frames = 0
    while not history.too_many:
        history.add(frame(3), refusals(0, 1))
        frames += 1
    assert history.refused == 2 * frames == MOST_IN_WINDOW + 2
    assert "of the last" in str(history)


def test_what_is_old_is_forgotten() -> None:
    history = Refusals()
    for _ in range(4):
        history.add(frame(MOST_IN_A_ROW), refusals(*range(MOST_IN_A_ROW - 1)))
    for _ in range(WINDOW):
        history.add(frame(1), [])
    assert (history.refused, history.too_many) == (0, False)


def test_a_copy_goes_its_own_way() -> None:
    history = Refusals()
    history.add(frame(2), refusals(0))
    twin = history.copy()
    twin.add(frame(MOST_IN_A_ROW), refusals(*range(MOST_IN_A_ROW)))
    assert (history.too_many, twin.too_many, history.refused) == (False, True, 1)


def test_what_decoding_refused_says_nothing_of_the_store() -> None:
    rejections = [Rejection(index, reason, "") for index, reason in enumerate(("schema", "store:22P05", "suspect"))]
    assert [one.index for one in refused_by_store([*rejections, Rejection(None, "seq_conflict", "")])] == [1, 2]

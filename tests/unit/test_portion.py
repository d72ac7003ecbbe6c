"""How much of a batch is written at once."""

from tracequeue_worker.portion import PATIENCE, Portion


def failed(portion: Portion, frames: int, times: int) -> None:
    for _ in range(times):
        portion.failed(portion.of(frames))


def test_all_until_it_failed_in_a_row() -> None:
    portion = Portion()
    failed(portion, 8, PATIENCE - 1)
    assert portion.of(8) == 8
    portion.written()
    failed(portion, 8, PATIENCE - 1)
    assert portion.of(8) == 8
    failed(portion, 8, 1)
    assert portion.of(8) == 4


def test_down_to_one_frame_and_up_again_by_successes() -> None:
    portion = Portion()
    failed(portion, 8, 100)
    assert portion.of(8) == 1
    sizes = []
    for _ in range(4):
        portion.written()
        sizes.append(portion.of(8))
    assert sizes == [2, 4, 8, 8]

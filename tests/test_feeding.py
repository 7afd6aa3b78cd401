"""Work done ahead: the same items in the same order, within its limits, and nothing left running."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from mmaudit.feeding import ahead


def running() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name == "mmaudit-feed"]


def test_items_come_in_order_from_one_other_thread() -> None:
    makers: set[int] = set()

    def items() -> Iterator[int]:
        for i in range(200):
            makers.add(threading.get_ident())
            yield i

    with ahead(items(), lambda _: 1) as feed:
        assert list(feed) == list(range(200))
    assert len(makers) == 1
    assert threading.get_ident() not in makers
    assert running() == []


@pytest.mark.parametrize(
    ("size", "most_bytes", "most_items", "waiting"), [(10, 35, 99, 3), (1, 99, 4, 4), (50, 35, 9, 1)]
)
def test_no_more_is_made_than_there_is_room_for(size: int, most_bytes: int, most_items: int, waiting: int) -> None:
    made = threading.Semaphore(0)
    taken, most = 0, 0
    count = 0

    def items() -> Iterator[int]:
        nonlocal count
        for i in range(30):
            count += 1
            made.release()
            yield i

    with ahead(items(), lambda _: size, most_bytes=most_bytes, most_items=most_items) as feed:
        # What waits, and the one that has been made and finds no room.
        for _ in range(waiting + 1):
            assert made.acquire(timeout=10)
        for _ in feed:
            taken += 1
            most = max(most, count - taken)
    assert taken == 30
    assert most <= waiting + 1


def test_an_error_is_raised_in_its_turn() -> None:
    def items() -> Iterator[int]:
        yield from (1, 2)
        raise MemoryError("no more")

    seen: list[int] = []
    with pytest.raises(MemoryError, match="no more"), ahead(items(), lambda _: 1) as feed:
        seen.extend(feed)
    assert seen in ([], [1, 2])
    with ahead(items(), lambda _: 1) as feed:
        assert [next(feed), next(feed)] == [1, 2]
        with pytest.raises(MemoryError):
            next(feed)
    assert running() == []


@pytest.mark.parametrize("failure", [KeyboardInterrupt, RuntimeError])
def test_leaving_early_stops_the_maker_and_closes_the_items(failure: type[BaseException]) -> None:
    closed: list[bool] = []

    def items() -> Iterator[int]:
        try:
            yield from range(10**9)
        finally:
            closed.append(True)

    def leave() -> None:
        with ahead(items(), lambda _: 1) as feed:
            next(feed)
            raise failure

    with pytest.raises(failure):
        leave()
    assert closed == [True]
    assert running() == []


def test_the_callers_treatment_of_floating_point_errors_holds() -> None:
    def items() -> Iterator[np.ndarray]:
        yield np.float64(1) / np.zeros(1)

    with np.errstate(divide="ignore"), ahead(items(), lambda x: x.nbytes) as feed:
        assert np.isinf(next(feed)).all()
    with np.errstate(divide="raise"), ahead(items(), lambda x: x.nbytes) as feed, pytest.raises(FloatingPointError):
        next(feed)

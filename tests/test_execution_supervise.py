"""Works handed out one to a worker, and losses made good: without any process."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import pytest

from mmaudit.errors import BadInput, ContractBroken
from mmaudit.execution import supervise as supervising
from mmaudit.execution.failures import Failure
from mmaudit.execution.remote import Reply
from mmaudit.execution.supervise import TRIES, Supervised
from mmaudit.timing import Timing


@dataclass(frozen=True)
class Number:
    number: int
    timed: bool = True

    @property
    def said(self) -> str:
        return f"shard {self.number}"

    def __call__(self, worker: Any) -> int:
        return self.number


class FakeLane:
    """Answers at once as `answer` says: a value, an exception that the future raises, or None for no answer ever."""

    def __init__(self, place: int, answer: Callable[[int, Any], Any], log: list[Any]) -> None:
        self.place, self.answer, self.log = place, answer, log
        self.open: Future[Any] | None = None

    def submit(self, work: Any) -> Future[Any]:
        assert self.open is None or self.open.done(), "a worker has one work at a time"
        self.log.append((self.place, work.said))
        self.open = Future()
        value = self.answer(self.place, work) if isinstance(work, Number) else Reply(None, Timing(), 0)
        if isinstance(value, Exception):
            self.open.set_exception(value)
        elif value is not None:
            self.open.set_result(value)
        return self.open

    def kill(self) -> None:
        self.log.append((self.place, "killed"))

    def close(self) -> None:
        self.log.append((self.place, "closed"))


def crew(answer: Callable[[int, Any], Any], workers: int = 2, **more: Any) -> tuple[Supervised, list[Any]]:
    log: list[Any] = []
    return Supervised(lambda place: FakeLane(place, answer, log), workers, **more), log


def said(value: Any) -> Reply:
    return Reply(value, Timing(model=1.0), 100)


def test_every_work_is_done_once_and_no_more_workers_start_than_there_is_work() -> None:
    found: list[tuple[Any, Any]] = []
    watched, log = crew(lambda place, work: said(work.number * 10), workers=4)
    assert not watched.started
    watched.do([Number(i) for i in range(2)], lambda work, value: found.append((work.number, value)))
    assert sorted(found) == [(0, 0), (1, 10)]
    assert {place for place, _ in log} <= {0, 1}
    assert watched.started
    watched.do([], lambda *_: None)
    watched.close()
    assert [what for _, what in log if what == "closed"] == ["closed"] * len({place for place, _ in log})


def test_time_of_workers_that_are_gone_counts() -> None:
    # What a worker tells is the sum of all it did: 1 and 2 s; it is lost at its third work, its successor takes 4 s.
    answers = iter([1.0, 2.0, None, 4.0])

    def answer(place: int, work: Number) -> Any:
        seconds = next(answers)
        return OSError("gone") if seconds is None else Reply(None, Timing(model=seconds, encoded_rows={"a": 10}), 0)

    watched, _ = crew(answer, workers=1)
    watched.do([Number(0), Number(1), Number(2)], lambda *_: None)
    assert (watched.timing.model, watched.timing.encoded_rows) == (6.0, {"a": 20})
    assert watched.replaced == ["shard 2: OSError: gone"]


def test_a_lost_work_goes_to_another_worker_and_the_others_are_not_held_up() -> None:
    tries: list[int] = []

    def answer(place: int, work: Number) -> Any:
        tries.append(work.number)
        return OSError("worker lost") if work.number == 0 and tries.count(0) < TRIES else said(None)

    done: list[int] = []
    watched, log = crew(answer)
    watched.do([Number(i) for i in range(5)], lambda work, _: done.append(work.number))  # type: ignore[attr-defined]
    assert sorted(done) == [0, 1, 2, 3, 4]
    assert tries.count(0) == TRIES
    assert done[-1] == 0  # last, so that it holds nobody up
    assert [what for _, what in log].count("killed") == TRIES - 1


def test_a_work_that_loses_every_worker_is_named_after_the_others_are_done() -> None:
    done: list[int] = []

    def answer(place: int, work: Number) -> Any:
        return OSError("exit code SIGSEGV\nmore") if work.number % 2 else said(None)

    watched, _ = crew(answer, blame="model 'm'")
    with pytest.raises(ContractBroken) as caught:
        watched.do([Number(i) for i in range(5)], lambda work, _: done.append(work.number))  # type: ignore[attr-defined]
    assert sorted(done) == [0, 2, 4]
    text = str(caught.value)
    assert text.startswith("model 'm': shard ")
    assert all(f"shard {i} (OSError: exit code SIGSEGV)" in text for i in (1, 3))
    assert "All other shards are done" in text


def test_a_worker_that_hangs_is_ended_and_its_work_given_to_another() -> None:
    hung: list[int] = []

    def answer(place: int, work: Number) -> Any:
        if work.number == 1 and not hung:
            hung.append(place)
            return None
        return said(None)

    done: list[int] = []
    watched, log = crew(answer, time_limit=0.05)
    watched.do([Number(i) for i in range(4)], lambda work, _: done.append(work.number))  # type: ignore[attr-defined]
    assert sorted(done) == [0, 1, 2, 3]
    assert (hung[0], "killed") in log
    assert watched.replaced == ["shard 1: no answer within 0 s"]


def test_without_a_limit_the_longest_so_far_sets_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervising, "LEAST_LIMIT", 0.05)
    hung: list[int] = []

    def answer(place: int, work: Number) -> Any:
        if work.number == 3 and not hung:
            hung.append(place)
            return None
        return said(None)

    done: list[int] = []
    watched, _ = crew(answer)
    watched.do([Number(i) for i in range(4)], lambda work, _: done.append(work.number))  # type: ignore[attr-defined]
    assert sorted(done) == [0, 1, 2, 3]
    assert len(hung) == 1


def test_works_that_are_not_timed_may_take_as_long_as_they_like() -> None:
    watched, _ = crew(lambda *_: said(None), time_limit=1.0)
    assert watched._limit(Number(0)) == 1.0
    assert watched._limit(Number(0, timed=False)) is None


def test_a_worker_that_holds_more_and_more_memory_is_replaced_between_two_works() -> None:
    held = iter([50, 90, 120, 40, 60, 130, 10])
    watched, log = crew(lambda *_: Reply(None, Timing(), next(held)), workers=1, memory_limit=100)
    done: list[int] = []
    watched.do([Number(i) for i in range(7)], lambda work, _: done.append(work.number))  # type: ignore[attr-defined]
    assert done == list(range(7))
    assert [what for _, what in log].count("closed") == 2
    assert [text.split(":")[0] for text in watched.replaced] == ["shard 2", "shard 5"]


def test_what_a_work_raises_is_raised_here_at_once() -> None:
    def answer(place: int, work: Number) -> Any:
        try:
            raise ContractBroken("probe 'p'", "declared modalities", "changed 'x'")
        except ContractBroken as error:
            return Failure.of(error)

    watched, log = crew(answer)
    with pytest.raises(ContractBroken, match=r"^probe 'p': changed 'x' \[clause: declared modalities\]$") as caught:
        watched.do([Number(0), Number(1)], lambda *_: None)
    assert caught.value.clause == "declared modalities"
    watched.close(kill=True)
    assert (0, "killed") in log


def test_workers_that_cannot_start_are_not_tried_for_ever() -> None:
    class Dead(FakeLane):
        def submit(self, work: Any) -> Future[Any]:
            future: Future[Any] = Future()
            future.set_exception(OSError("no such interpreter"))
            return future

    log: list[Any] = []
    watched = Supervised(lambda place: Dead(place, lambda *_: None, log), 2)
    with pytest.raises(BadInput, match=r"end while they start \(OSError: no such interpreter\); audit with jobs=1"):
        watched.do([Number(i) for i in range(5)], lambda *_: None)


def test_no_worker_within_the_time_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervising, "START_LIMIT", 0.05)

    class Silent(FakeLane):
        def submit(self, work: Any) -> Future[Any]:
            return Future()

    watched = Supervised(lambda place: Silent(place, lambda *_: None, []), 2)
    with pytest.raises(BadInput, match="no worker has started within 0 s"):
        watched.do([Number(0)], lambda *_: None)

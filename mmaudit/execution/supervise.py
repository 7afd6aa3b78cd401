"""Watching over workers in other processes: who is free gets the next work, who dies or hangs is replaced.

A worker has one work at a time, so what is lost with it is one shard, and the shard goes to another. Nothing of an
answer passes through here: workers write their files themselves.
"""

from __future__ import annotations

import re
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from typing import Protocol

from mmaudit.errors import BadInput, ContractBroken
from mmaudit.execution.failures import Failure
from mmaudit.execution.remote import Reply
from mmaudit.execution.seam import Done, Work
from mmaudit.execution.works import Ready
from mmaudit.timing import Timing

TRIES = 3
# A shard that takes this many times as long as the longest before it hangs, but none does within the first minutes.
MANY_TIMES, LEAST_LIMIT = 20.0, 600.0  # s
START_LIMIT = 600.0  # s, until the first worker has its model


class Lane(Protocol):
    """A worker's process, seen from here."""

    def submit(self, work: Work) -> Future[Reply | Failure]:
        """Have it do a work; the future raises where the process is lost."""

    def kill(self) -> None:
        """End it at once, whatever it does."""

    def close(self) -> None:
        """End it; it is idle."""


@dataclass
class _Busy:
    lane: int
    work: Work
    since: float


class Supervised:
    """A crew of lanes.

    Args:
        hire: starts a worker, given its place among them; called again for each that is lost.
        workers: most of them at a time.
        time_limit: seconds that a shard may take; None: 20 times as long as the longest so far, ten minutes at least.
        memory_limit: bytes that a worker may hold between two works; one that holds more is replaced. None: any.
        blame: who is said to have broken its contract when a work is lost with every worker: the model's name.
    """

    def __init__(
        self,
        hire: Callable[[int], Lane],
        workers: int,
        *,
        time_limit: float | None = None,
        memory_limit: float | None = None,
        blame: str = "model",
    ) -> None:
        self._hire, self._time_limit, self._memory_limit, self._blame = hire, time_limit, memory_limit, blame
        self._lanes: list[Lane | None] = [None] * workers
        self._timings: list[Timing] = [Timing() for _ in range(workers)]
        self._base = [0] * workers
        self._ready = [False] * workers
        self._gone = Timing()
        self._longest: dict[type, float] = {}
        self.replaced: list[str] = []

    @property
    def started(self) -> bool:
        """Whether a worker has its model."""
        return any(self._ready)

    @property
    def timing(self) -> Timing:
        """What all workers spent, those that are gone among them."""
        total = Timing()
        for part in (self._gone, *self._timings):
            total.add(part)
        return total

    def start(self) -> None:
        """Start all workers and wait until each has its model; without it they start as there is work."""
        starting = {}
        for place, lane in enumerate(self._lanes):
            if not self._ready[place]:
                lane = self._lanes[place] = lane or self._hire(place)
                starting[lane.submit(Ready())] = _Busy(place, Ready(), time.monotonic())
        for future, one in starting.items():
            reply = future.result(START_LIMIT)
            if isinstance(reply, Failure):
                raise reply.error()
            self._note(one, reply, time.monotonic())

    def close(self, kill: bool = False) -> None:
        """End all workers; at once where they may still be at work."""
        for place, lane in enumerate(self._lanes):
            if lane is not None:
                self._lanes[place] = None
                if kill or not self._ready[place]:
                    lane.kill()
                else:
                    lane.close()

    def do(self, works: Sequence[Work], done: Done) -> None:
        """Have every work done; see `Crew.do`."""
        waiting = deque(works)
        busy: dict[Future[Reply | Failure], _Busy] = {}
        lost: Counter[Work] = Counter()
        why: dict[Work, str] = {}
        given_up: list[Work] = []
        failed_starts = 0
        opened = time.monotonic()
        while waiting or any(not isinstance(b.work, Ready) for b in busy.values()):
            self._hand_out(waiting, busy)
            finished, _ = wait(busy, self._patience(busy), FIRST_COMPLETED)
            now = time.monotonic()
            for future in finished:
                one = busy.pop(future)
                error = future.exception()
                if error is not None:
                    reason = _first_line(error)
                elif isinstance(reply := future.result(), Failure):
                    raise reply.error()
                else:
                    self._note(one, reply, now)
                    if not isinstance(one.work, Ready):
                        done(one.work, reply.value)
                    continue
                self._replace(one, reason)
                if isinstance(one.work, Ready):
                    failed_starts += 1
                    if failed_starts >= TRIES:
                        raise BadInput(f"workers end while they start ({reason}); audit with jobs=1 to see why.")
                else:
                    why[one.work] = reason
                    _again(one.work, lost, waiting, given_up)
            for future, one in list(busy.items()):
                limit = self._limit(one.work)
                if limit is not None and now - one.since > limit:
                    del busy[future]
                    why[one.work] = f"no answer within {limit:,.0f} s"
                    self._replace(one, why[one.work])
                    _again(one.work, lost, waiting, given_up)
            if not self.started and now - opened > START_LIMIT:
                raise BadInput(
                    f"no worker has started within {START_LIMIT:.0f} s; is there a machine with what each of them asks "
                    "for (processors, GPUs, memory)?"
                )
        if given_up:
            raise ContractBroken(self._blame, "every shard is answered", _missing(given_up, why))

    # ---- lanes

    def _hand_out(self, waiting: deque[Work], busy: dict[Future[Reply | Failure], _Busy]) -> None:
        taken = {one.lane for one in busy.values()}
        starting = sum(isinstance(one.work, Ready) for one in busy.values())
        for place in range(len(self._lanes)):
            # No more workers than works: each that starts takes one.
            if place in taken or len(waiting) <= (0 if self._ready[place] else starting):
                continue
            lane = self._lanes[place]
            if lane is None:
                lane = self._lanes[place] = self._hire(place)
            work: Work = waiting.popleft() if self._ready[place] else Ready()
            starting += isinstance(work, Ready)
            busy[lane.submit(work)] = _Busy(place, work, time.monotonic())

    def _note(self, one: _Busy, reply: Reply, now: float) -> None:
        self._timings[one.lane] = reply.timing
        kind = type(one.work)
        self._longest[kind] = max(self._longest.get(kind, 0.0), now - one.since)
        if isinstance(one.work, Ready):
            self._ready[one.lane] = True
            self._base[one.lane] = reply.memory
        elif self._memory_limit is not None and reply.memory > max(self._memory_limit, 1.2 * self._base[one.lane]):
            # What it holds over what it started with is not given back: the model leaks.
            self._replace(one, f"{reply.memory / 2**30:.1f} GiB held after {one.work.said}", kill=False)

    def _replace(self, one: _Busy, reason: str, kill: bool = True) -> None:
        lane, self._lanes[one.lane] = self._lanes[one.lane], None
        self._ready[one.lane] = False
        self._gone.add(self._timings[one.lane])
        self._timings[one.lane] = Timing()
        self.replaced.append(f"{one.work.said}: {reason}")
        if lane is not None:
            lane.kill() if kill else lane.close()

    # ---- time

    def _limit(self, work: Work) -> float | None:
        if not work.timed:
            return None
        if self._time_limit is not None:
            return self._time_limit
        longest = self._longest.get(type(work))
        return None if longest is None else max(LEAST_LIMIT, MANY_TIMES * longest)

    def _patience(self, busy: dict[Future[Reply | Failure], _Busy]) -> float | None:
        """Seconds until something may be overdue; None where nothing can be."""
        now = time.monotonic()
        limits = [(one.since, self._limit(one.work)) for one in busy.values()]
        ends = [since + limit for since, limit in limits if limit is not None]
        if not self.started:
            ends.append(now + START_LIMIT)
        return max(0.01, min(ends) - now) if ends else None


def _again(work: Work, lost: Counter[Work], waiting: deque[Work], given_up: list[Work]) -> None:
    """Put a work that was lost with its worker last, or give it up: others are not to suffer from it."""
    lost[work] += 1
    if lost[work] < TRIES:
        waiting.append(work)
    else:
        given_up.append(work)


def _missing(given_up: Sequence[Work], why: dict[Work, str]) -> str:
    named = ", ".join(f"{work.said} ({why[work]})" for work in given_up[:8])
    more = f" and {len(given_up) - 8} more" if len(given_up) > 8 else ""
    return (
        f"{named}{more}: {TRIES} workers were lost at {'it' if len(given_up) == 1 else 'each'}. All other shards are "
        "done and kept; run the same command again to try only what is missing, with jobs=1 to see what happens there"
    )


def _first_line(error: BaseException) -> str:
    if codes := re.search(r"exit codes? of the workers? \w+ \{(.+?)\}", str(error)):
        return f"its process was ended by {codes[1]}"
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:300]}" if text else type(error).__name__

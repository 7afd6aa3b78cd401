"""Work done ahead on a thread of its own, in order, within a limit of memory: inputs are made while the model runs."""

from __future__ import annotations

import contextvars
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from threading import Condition, Thread
from typing import Generic, TypeVar

T = TypeVar("T")

# Bytes made and not yet taken. One item is always made, however large: else nothing would ever move.
MOST_BYTES = 256 * 2**20
MOST_ITEMS = 8


@contextmanager
def ahead(
    items: Iterable[T],
    size: Callable[[T], int],
    *,
    most_bytes: int = MOST_BYTES,
    most_items: int = MOST_ITEMS,
) -> Iterator[Iterator[T]]:
    """Yield an iterator over `items` that are made on another thread, a few ahead of whoever takes them.

    The order is that of `items`, and only one thread makes them, one at a time, so what they are does not depend on
    the thread. An exception in the making is raised when its turn comes, to whoever takes the item. At the end of the
    `with` block the thread has stopped, also where the block was left early; `items` are closed then.

    Args:
        items: what to make; a generator whose body does the work.
        size: bytes that an item holds.
        most_bytes: of items made and not yet taken, beyond the first.
        most_items: of them.
    """
    feed = _Feed(items, size, most_bytes, most_items)
    # The caller's settings hold for the thread, too: NumPy's treatment of floating-point errors is one.
    thread = Thread(target=contextvars.copy_context().run, args=(feed.make,), name="mmaudit-feed", daemon=True)
    thread.start()
    try:
        yield iter(feed)
    finally:
        feed.stop()
        thread.join()


class _Feed(Generic[T]):
    """A queue between one maker and one taker."""

    def __init__(self, items: Iterable[T], size: Callable[[T], int], most_bytes: int, most_items: int) -> None:
        self._items = items
        self._size = size
        self._most_bytes, self._most_items = most_bytes, most_items
        self._made: deque[tuple[T, int]] = deque()
        self._bytes = 0
        self._state = Condition()
        self._stopped = False
        self._ended = False
        self._error: BaseException | None = None

    def make(self) -> None:
        """Make items until there are no more, one of them fails, or nobody wants them."""
        error: BaseException | None = None
        iterator = iter(self._items)
        try:
            for item in iterator:
                if not self._put(item):
                    break
                del item  # else it would live until the next one is made
        except BaseException as raised:  # whatever it is: the taker is the one to be told
            error = raised
        finally:
            close: Callable[[], None] | None = getattr(iterator, "close", None)
            if close is not None:
                close()
            with self._state:
                self._error, self._ended = error, True
                self._state.notify_all()

    def _put(self, item: T) -> bool:
        cost = self._size(item)
        with self._state:
            self._state.wait_for(lambda: self._stopped or not self._made or self._has_room(cost))
            if self._stopped:
                return False
            self._made.append((item, cost))
            self._bytes += cost
            self._state.notify_all()
            return True

    def _has_room(self, cost: int) -> bool:
        return len(self._made) < self._most_items and self._bytes + cost <= self._most_bytes

    def __iter__(self) -> Iterator[T]:
        while True:
            with self._state:
                self._state.wait_for(lambda: self._made or self._ended)
                if not self._made:
                    if self._error is not None:
                        raise self._error
                    return
                item, cost = self._made.popleft()
                self._bytes -= cost
                self._state.notify_all()
            yield item
            del item

    def stop(self) -> None:
        """Tell the maker that nothing more is wanted."""
        with self._state:
            self._stopped = True
            self._made.clear()
            self._bytes = 0
            self._state.notify_all()

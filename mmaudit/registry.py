"""Named plug-ins: one table per sort of plug-in, duplicates refused, near misses suggested, entry points loaded."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import entry_points
from typing import Generic, TypeVar

from mmaudit.errors import ContractBroken, UnknownName

T = TypeVar("T")


class Registry(Generic[T]):
    """A table of plug-ins by name.

    Third-party packages add to it by an entry point in the group `mmaudit.plugins` that names a module; importing
    the module runs its decorators. Entry points are loaded when a name is first looked up, not at import.
    """

    def __init__(self, what: str, see: str = "") -> None:
        self._what = what
        self._see = see
        self._items: dict[str, T] = {}

    def add(self, name: str, item: T) -> None:
        """Register `item`; raises `ContractBroken` when the name is taken."""
        if name in self._items:
            raise ContractBroken(f"{self._what} {name!r}", "unique name", "is already registered; choose another name")
        self._items[name] = item

    def get(self, name: str) -> T:
        """Return the item; raises `UnknownName` with a suggestion."""
        load_plugins()
        if name not in self._items:
            raise UnknownName(self._what, name, self._items, self._see)
        return self._items[name]

    def __iter__(self) -> Iterator[T]:
        load_plugins()
        return iter([self._items[name] for name in sorted(self._items)])

    def __contains__(self, name: object) -> bool:
        load_plugins()
        return name in self._items

    def names(self) -> list[str]:
        """All names, sorted."""
        load_plugins()
        return sorted(self._items)


_loaded = False


def load_plugins() -> None:
    """Import the built-in plug-ins and every third-party module named by an entry point, once."""
    global _loaded
    if _loaded:
        return
    _loaded = True
    import mmaudit.findings
    import mmaudit.metrics
    import mmaudit.probes  # noqa: F401

    for point in entry_points(group="mmaudit.plugins"):
        point.load()

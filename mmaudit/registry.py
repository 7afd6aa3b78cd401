"""Named plug-ins: one table per sort of plug-in, duplicates refused, near misses suggested, entry points loaded."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import entry_points
from typing import Generic, TypeVar

from mmaudit.errors import BadInput, ContractBroken, UnknownName

T = TypeVar("T")


class Registry(Generic[T]):
    """A table of plug-ins by name.

    Packages add to it by an entry point in the group `mmaudit.plugins` that names a module; importing the module runs
    its decorators. mmaudit's own plug-ins take the same way. Entry points are loaded when a name is first looked up.
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
    """Import every module that an entry point names, mmaudit's own probes, metrics and rules among them; once.

    Raises:
        BadInput: a module cannot be imported; names its package.
    """
    global _loaded
    if _loaded:
        return
    _loaded = True  # first, as the modules themselves may look names up
    for point in entry_points(group="mmaudit.plugins"):
        try:
            point.load()
        except Exception as error:
            _loaded = False
            package = point.dist.name if point.dist else "an unknown package"
            raise BadInput(
                f"plug-in {point.value!r} of {package} cannot be loaded: {error!r}; repair or uninstall that package."
            ) from error

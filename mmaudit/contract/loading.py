"""Find the probes that somebody names: registered ones, or those of a module that is not installed as a plug-in yet."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from mmaudit.errors import BadInput, UnknownName
from mmaudit.probes import Probe, probes


def probes_of(names: Sequence[str]) -> list[Probe]:
    """Return the probes meant by names, families, globs, or modules (`package.module`, which are imported).

    Raises:
        UnknownName: no probe has such a name, and no module either.
        BadInput: a module cannot be imported, or registers no probe.
    """
    found: dict[str, Probe] = {}
    for name in names:
        try:
            chosen = probes.select([name])
        except UnknownName:
            chosen = _of_module(name)
        found |= {p.name: p for p in chosen}
    return list(found.values())


def _of_module(name: str) -> list[Probe]:
    # As `--model package.module:factory` does, so that a file in the current folder is found.
    if "" not in sys.path:
        sys.path.insert(0, "")
    before = set(probes.names())
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(error.name + ".")):
            raise UnknownName("probe or module", name, probes.names(), "'mmaudit list probes'") from error
        raise BadInput(f"module {name!r} cannot be imported: {error}.") from error
    except Exception as error:
        raise BadInput(f"module {name!r} cannot be imported: {error!r}.") from error
    new = [p for p in probes if p.name not in before]
    # An installed plug-in was imported before anybody asked for it by its module.
    owned = [p for p in probes if p.module == module.__name__ or p.module.startswith(module.__name__ + ".")]
    if not (new or owned):
        raise BadInput(f"module {name!r} registers no probe; decorate a function with @corruption or @probe.")
    return list({p.name: p for p in (*new, *owned)}.values())

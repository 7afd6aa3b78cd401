"""Every error mmaudit raises on purpose.

    MMAuditError
    ├── BadInput (ValueError)         an argument, file or data set is not usable; says which and what to do
    ├── UnknownName (LookupError)     no such probe, metric, rule or suite; suggests the nearest
    ├── ContractBroken (ValueError)   a model, probe or metric broke its contract; names the clause
    ├── NotApplicable                 a probe declines a modality, with a reason; the plan records it
    ├── StaleRun                      the folder belongs to another model, data set or schema
    ├── DamagedRun                    the folder holds a file that cannot be read
    ├── StorageFailed                 the folder cannot be read or written now: disk full, no permission, out of reach
    ├── Undefined                     a metric has no value here; becomes NaN and a reason in the scores
    └── MissingExtra (ImportError)    an optional package is not installed; gives the pip command

A message says what is wrong with which name, what was expected and what came, and what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

LISTED = 20
"""Known names that an error lists whole; of more, only those like the one that is wrong."""


class MMAuditError(Exception):
    """Root of the tree above; catch this to catch everything mmaudit raises on purpose."""


class BadInput(MMAuditError, ValueError):
    """An argument, file or data set cannot be used as given."""


class UnknownName(MMAuditError, LookupError):
    """A name that no registry knows."""

    def __init__(self, what: str, name: str, known: Iterable[str], see: str = "") -> None:
        names = sorted(known)
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
        guess = f"; did you mean {near[0]!r}?" if near else "."
        if see:
            hint = f" {see} shows all {len(names)}."
        elif len(names) <= LISTED:
            hint = f" Known: {', '.join(names)}."
        else:
            some = difflib.get_close_matches(name, names, n=5, cutoff=0.4) or names[:5]
            hint = f" Known are {len(names)}, such as {', '.join(some)}."
        super().__init__(f"{what} {name!r} is not registered{guess}{hint}")


class ContractBroken(MMAuditError, ValueError):
    """A model, probe or metric broke the contract it declared."""

    def __init__(self, who: str, clause: str, message: str) -> None:
        self.clause, self.message = clause, message
        super().__init__(f"{who}: {message} [clause: {clause}]")


class NotApplicable(MMAuditError):
    """A probe declines a modality; the message is the reason and is kept in the plan."""


class StaleRun(MMAuditError):
    """The run folder was made with another model, data set or schema."""


class DamagedRun(MMAuditError):
    """The run folder holds a file that is truncated, foreign or unreadable."""


class StorageFailed(MMAuditError):
    """The run folder cannot be read or written now: the disk is full, the store refuses or is out of reach.

    What was written before is whole; the same call goes on from there once the cause is gone. No `OSError`, which
    readers take for a damaged file.
    """


class Undefined(MMAuditError):
    """A metric has no value on these rows; the message is the reason and stands beside the NaN."""


class MissingExtra(MMAuditError, ImportError):
    """An optional package is needed and not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"package {package!r} is not installed; run: pip install 'mmaudit[{extra}]'")

"""Exceptions that cross from a worker's process to this one."""

from __future__ import annotations

import builtins
import traceback
from dataclasses import dataclass
from typing import Any

from mmaudit import errors


@dataclass(frozen=True)
class Failure:
    """What a worker raised, as plain values: some exceptions cannot be pickled, others cannot be unpickled.

    Attributes:
        kind: name of the exception's class.
        text: its message.
        values: its attributes that are plain text, such as the clause of a `ContractBroken`.
        trace: the traceback in the worker.
    """

    kind: str
    text: str
    values: dict[str, str]
    trace: str

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """Describe an exception; to be called where it is handled."""
        values = {name: value for name, value in vars(error).items() if isinstance(value, str)}
        return cls(type(error).__name__, str(error), values, traceback.format_exc())

    def error(self) -> Exception:
        """Return the exception: mmaudit's own and Python's as they were, others as `RuntimeError`."""
        known: Any = getattr(errors, self.kind, None) or getattr(builtins, self.kind, None)
        made: Exception | None = None
        if isinstance(known, type) and issubclass(known, Exception):
            # Past the class's own constructor, which may take other arguments than a message.
            made = known.__new__(known, self.text)
            Exception.__init__(made, self.text)
            vars(made).update(self.values)
        if made is None or self.text not in str(made):
            made = RuntimeError(f"{self.kind}: {self.text}")
        if not isinstance(made, errors.MMAuditError):
            made.add_note(f"In a worker:\n{self.trace}")
        return made

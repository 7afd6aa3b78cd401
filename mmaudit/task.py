"""What an output row of a model means: the task, and the columns of a retrieval's answers and truth.

Part of the nouns: everybody else imports these names from `mmaudit.types`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from mmaudit.errors import BadInput

TaskKind = Literal["classification", "multilabel", "regression", "retrieval"]

# The columns of a retrieval's answer to one query: all that rank metrics need, whatever the size of the bank.
HIGHER, TIED, TIED_RIGHT, FIRST, LOG_RIGHT, LOG_FIRST = range(6)
"""HIGHER: wrong candidates that score higher than the best right one. TIED: wrong ones that score the same. TIED_RIGHT:
right ones that do, at least 1. FIRST: position in the data set of the candidate that scores highest, the first of
equals. LOG_RIGHT, LOG_FIRST: log of the softmax of all the query's scores, summed over the right candidates, and at the
highest score."""
ANSWER_COLUMNS = 6
# The columns of a retrieval's truth about one query, as a run keeps it: identity, candidates, right ones among them.
IDENTITY, CANDIDATES, RIGHT = range(3)
# Names of dimensions that a sentence tells.
SAID = 4


@dataclass(frozen=True)
class Task:
    """What one output row of the model means.

    Use the constructors `Task.classification`, `Task.multilabel`, `Task.regression`, `Task.retrieval`.

    Attributes:
        kind: decides metrics, chance floors and direction of goodness.
        names: classes, labels or regression dimensions, in the order of the output columns; for retrieval the query
            modalities, then the target modality.
        unit: regression only: unit of the target.
        bank: retrieval only: how many samples that follow each other have their targets as common candidates (an
            in-batch bank); 0 where a query's candidates are all samples, or those that the data set lists for it.
    """

    kind: TaskKind
    names: tuple[str, ...]
    unit: str = ""
    bank: int = 0

    @property
    def width(self) -> int:
        """Columns of an output row; for retrieval of an answer row (`HIGHER`, `TIED`, …)."""
        return ANSWER_COLUMNS if self.kind == "retrieval" else len(self.names)

    @property
    def query(self) -> tuple[str, ...]:
        """Retrieval: the modalities that a query is made of; else none."""
        return self.names[:-1] if self.kind == "retrieval" else ()

    @property
    def target_modality(self) -> str:
        """Retrieval: the modality of which the right sample is to be found; else empty."""
        return self.names[-1] if self.kind == "retrieval" else ""

    @property
    def said(self) -> str:
        """In words: `classification, 10 classes`, `regression of 1 number in kg`, `retrieval of text given image`."""
        if self.kind == "retrieval":
            batches = f", in batches of {self.bank}" if self.bank else ""
            return f"retrieval of {self.target_modality} given {' and '.join(self.query)}{batches}"
        if self.kind == "regression":
            return f"regression of {self._dimensions}{f' in {self.unit}' if self.unit else ''}"
        one, many = ("class", "classes") if self.kind == "classification" else ("label", "labels")
        return f"{self.kind}, {self.width} {one if self.width == 1 else many}"

    @property
    def _dimensions(self) -> str:
        """How many numbers, or which where they have names; of many the first few."""
        if self.names == _names(self.width, "dims"):
            return f"{self.width} number{'s' * (self.width > 1)}"
        more = f" and {self.width - SAID} more" if self.width > SAID else ""
        return f"{', '.join(self.names[:SAID])}{more}"

    @classmethod
    def classification(cls, classes: int | tuple[str, ...] | list[str]) -> Task:
        """Exactly one of `classes` (names, or how many) is right; outputs are one logit per class."""
        names = _names(classes, "classes")
        if len(names) < 2:
            raise BadInput(f"classification needs at least 2 classes, got {len(names)}: {names}.")
        return cls("classification", names)

    @classmethod
    def multilabel(cls, labels: int | tuple[str, ...] | list[str]) -> Task:
        """Any number of `labels` is right; outputs are one logit per label, targets 0/1 of shape [n, labels]."""
        return cls("multilabel", _names(labels, "labels"))

    @classmethod
    def regression(cls, dims: int | tuple[str, ...] | list[str] = 1, unit: str = "") -> Task:
        """Outputs and targets are numbers of shape [n, dims], in `unit`."""
        return cls("regression", _names(dims, "dims"), unit)

    @classmethod
    def retrieval(cls, query: str | tuple[str, ...] | list[str], target: str, bank: int = 0) -> Task:
        """Given the query modalities of a sample, find its target modality among those of the candidates.

        Args:
            query: one or more modalities.
            target: another one.
            bank: 0: the candidates are all samples, or those that the data set lists for each query. B: they are the
                samples of the query's batch, B that follow each other in the data set (the last batch may be smaller).
        """
        names = _names((query,) if isinstance(query, str) else tuple(query), "query")
        if not isinstance(target, str) or not target or target in names:
            raise BadInput(f"retrieval target {target!r} is not usable; name one modality that is not in the query.")
        if not isinstance(bank, int) or bank < 0 or bank == 1:
            raise BadInput(f"retrieval bank {bank!r} is not usable; give 0 for all samples, or 2 or more for a batch.")
        return cls("retrieval", (*names, target), bank=bank)

    def absent(self, target: Any) -> list[str]:
        """Classes that no sample of `target`, `int[n]`, has; none for tasks other than classification."""
        if self.kind != "classification":
            return []
        seen = np.bincount(target, minlength=self.width) > 0
        return [name for name, there in zip(self.names, seen, strict=True) if not there]

    def require_outputs(self, what: str) -> None:
        """Raise `BadInput` for a retrieval, whose answers are ranks, if `what` needs an output per class or number."""
        if self.kind == "retrieval":
            raise BadInput(
                f"{what} needs an output per class, label or dimension; the task is {self.said}, where an answer is a "
                "rank among candidates."
            )

    def to_json(self) -> dict[str, Any]:
        """Return plain values; `from_json` reads them back."""
        said: dict[str, Any] = {"kind": self.kind, "names": list(self.names), "unit": self.unit}
        return {**said, "bank": self.bank} if self.kind == "retrieval" else said

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Task:
        """Rebuild a task written by `to_json`."""
        return cls(value["kind"], tuple(value["names"]), value["unit"], value.get("bank", 0))


def _names(given: int | tuple[str, ...] | list[str], what: str) -> tuple[str, ...]:
    names = tuple(str(i) for i in range(given)) if isinstance(given, int) else tuple(str(x) for x in given)
    if not names:
        raise BadInput(f"{what} is empty; give at least one name or a positive number.")
    for name in names:
        require_text(name, f"a name of {what}")
    if len(set(names)) != len(names):
        raise BadInput(f"{what} has duplicate names: {sorted({n for n in names if names.count(n) > 1})}.")
    return names


def require_text(name: str, what: str) -> None:
    """Raise `BadInput` for a string that no file can hold: half of a character of two (a lone surrogate)."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise BadInput(f"{what}, {name!r}, is no text that can be written to a file; rename it.") from None

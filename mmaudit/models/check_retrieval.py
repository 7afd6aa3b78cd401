"""The doctor's clauses for retrieval models: encoders and a score, looked at as one function of each row alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from mmaudit.errors import ContractBroken
from mmaudit.models import clauses_behaviour as behaviour
from mmaudit.models.clauses import Check, disagreement, named
from mmaudit.models.protocol import OutputArray, Outputs, Retriever
from mmaudit.models.rows import same
from mmaudit.types import Array, Batch, BoolArray, Modality, Task


class RowScores:
    """A retrieval model as a `Model` of rows: what each row scores as a query, and as a candidate, in a fixed bank.

    Candidates and queries of the bank are the rows it is made from, as they were then; so `predict` gives, for every
    row of any batch, [scores of its query for the fixed candidates, scores of its target for the fixed queries], and
    the clauses for models of rows hold for it as they stand.
    """

    def __init__(self, model: Retriever, batch: Batch, task: Task) -> None:
        self.model, self.task = model, task
        self.name = model.name
        self.modalities = task.query
        self.outputs: Outputs = "values"
        self.native_absence = model.native_absence
        self.fingerprint = model.fingerprint
        self.tolerance: float = getattr(model, "tolerance", 1e-4)
        self.query = {m: np.array(model.encode(m, batch)) for m in task.query}
        self.candidates = np.array(model.encode(task.target_modality, batch))
        self.present = {m: batch.present[m].copy() for m in task.query}

    @property
    def shape(self) -> Task:
        """A task of as many columns as `predict` returns."""
        return Task.regression(len(self.candidates) + len(next(iter(self.query.values()))))

    def predict(self, batch: Batch) -> OutputArray:
        """Return float32 [n, candidates + queries of the bank]."""
        query = {m: self.model.encode(m, batch) for m in self.task.query}
        present = {m: batch.present[m] for m in self.task.query}
        as_query = self._scores(query, self.candidates.copy(), present)
        fixed = {m: x.copy() for m, x in self.query.items()}
        as_candidate = self._scores(fixed, self.model.encode(self.task.target_modality, batch), self.present)
        return np.concatenate([as_query, as_candidate.T], axis=1).astype(np.float32)

    def _scores(self, query: Mapping[str, Array], candidates: Array, present: Mapping[str, BoolArray]) -> Array:
        expected = (len(next(iter(query.values()))), len(candidates))
        found = np.asarray(self.model.scores(query, candidates, present))
        if found.shape != expected:
            raise ContractBroken(
                self.name,
                "shape",
                f"scores returned shape {list(found.shape)} for {expected[0]} queries and {expected[1]} candidates, "
                f"expected {list(expected)}",
            )
        return found


class ReadsAll(RowScores):
    """The same, with the target among what it reads."""

    def __init__(self, model: Retriever, batch: Batch, task: Task) -> None:
        super().__init__(model, batch, task)
        self.modalities = task.names


def modalities(model: Retriever, batch: Batch, task: Task, declared: Sequence[Modality] = ()) -> Check:
    """The model has an encoder for each modality of the task, and the data have them and say the same of them."""
    lacking = [m for m in task.names if m not in model.modalities]
    asked = f"the task is {task.said}"
    if lacking:
        return Check(
            "modalities",
            False,
            f"{asked}, but the model has encoders of {named(model.modalities)}: {named(lacking)} missing. Names must "
            "match; rename one side",
        )
    if said := disagreement(model, declared, task.names):
        return Check("modalities", False, said)
    if idle := [m for m in batch.inputs if m not in task.names]:
        message = f"{asked}; {named(idle)} of the data has no part in it: no probe of it can show"
        return Check("modalities", None, message, warning=True)
    return Check("modalities", True, f"{asked}, and the model has encoders of all of these")


def outputs(model: Retriever) -> Check:
    """The declared scale fits scores."""
    if model.outputs in ("logits", "values"):
        return Check("outputs", True, f"{model.outputs} declared for the scores of candidates")
    return Check("outputs", False, f"outputs={model.outputs!r} declared, but scores of candidates are logits or values")


def mutation(proxy: RowScores, given: Batch) -> Check:
    """Encoding leaves the batch as it was, scoring leaves features as they were: the same are scored many times."""
    check = behaviour.mutation(proxy, given)
    if check.ok is False:
        return check
    query = {m: x.copy() for m, x in proxy.query.items()}
    candidates = proxy.candidates.copy()
    proxy.model.scores(query, candidates, proxy.present)
    changed = [m for m, x in query.items() if not same(x, proxy.query[m])]
    changed += [] if same(candidates, proxy.candidates) else ["the candidates"]
    if not changed:
        return check
    message = (
        f"scoring changed the features of {named(changed)} in place; work on a copy, as they are scored many times"
    )
    return Check(check.clause, False, message)


def encoded(model: Retriever, batch: Batch, task: Task) -> Iterator[Check]:
    """Each encoder gives float32 [n, …], finite."""
    for m in task.names:
        rows = batch.take(np.flatnonzero(batch.present[m])) if batch.present[m].any() else batch
        found = model.encode(m, rows)
        if not isinstance(found, np.ndarray) or found.dtype != np.float32 or found.ndim < 2 or len(found) != len(rows):
            got = f"{found.dtype} {list(found.shape)}" if isinstance(found, np.ndarray) else type(found).__name__
            yield Check("shape", False, f"encode({m!r}) returned {got}, expected a float32 array [{len(rows)}, D]")
            return
        unusable = ~np.isfinite(found.reshape(len(found), -1)).all(axis=1)
        if unusable.any():
            ids = tuple(rows.ids[unusable])
            yield Check("finite", False, f"the features of {m!r} of sample {ids[0]} are not finite", ids[:3])
            return


def scored(batch: Batch, found: OutputArray) -> Iterator[Check]:
    """Scores are a number per query and candidate, finite."""
    yield Check("shape", True, "encoders give a row of features per sample, the score a number per pair")
    bad = ~np.isfinite(found).all(axis=1)
    ids = tuple(batch.ids[bad])
    if bad.any():
        yield Check("finite", False, f"scores of sample {ids[0]} are not finite", ids[:3])
    else:
        yield Check("finite", True, "all features and scores are finite")

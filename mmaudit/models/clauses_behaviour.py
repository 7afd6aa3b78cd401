"""The clauses that take several passes: what must not change the outputs, and what the two stages must give."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np

from mmaudit.models.clauses import Check, named, told
from mmaudit.models.protocol import Model, OutputArray, Stageable, TwoStage
from mmaudit.models.rows import everywhere, foreign, same
from mmaudit.types import Array, Batch, Task

_ALONE = 8
_TOLERANCE = 1e-4


def mutation(model: Model, batch: Batch) -> Iterator[Check]:
    before = copy.deepcopy((dict(batch.inputs), dict(batch.present), batch.target, batch.ids))
    model.predict(batch)
    after = (batch.inputs, batch.present, batch.target, batch.ids)
    changed = [name for name in before[0] if not same(before[0][name], after[0][name])]
    changed += [f"present[{name}]" for name in before[1] if not same(before[1][name], after[1][name])]
    changed += [
        name for name, i in (("target", 2), ("ids", 3)) if not same(np.asarray(before[i]), np.asarray(after[i]))
    ]
    if changed:
        first = changed[0]
        rows = _changed_rows(before[0][first], batch.inputs[first], batch) if first in batch.inputs else ()
        yield Check(
            "inputs not mutated",
            False,
            f"predict changed {named(changed)} in place"
            + (f" (first for sample {rows[0]})" if rows else "")
            + "; work on a copy, or every later condition sees the change",
            rows[:3],
        )
    else:
        yield Check("inputs not mutated", True, "the batch is left as it was")


def _changed_rows(before: Array, after: Array, batch: Batch) -> tuple[Any, ...]:
    return tuple(batch.ids[row] for row in range(len(batch)) if not same(before[row : row + 1], after[row : row + 1]))


def determinism(model: Model, batch: Batch, outputs: OutputArray) -> Iterator[Check]:
    again = model.predict(batch)
    size, rows = _difference(outputs, again, batch)
    limit = _limit(model, outputs)
    if size == 0:
        yield Check("determinism", True, "the same batch twice gives the same bits")
    elif size <= limit:
        yield Check("determinism", True, f"the same batch twice differs by at most {size:.2g}, within {limit:.2g}")
    else:
        yield Check(
            "determinism",
            False,
            f"the same batch twice differs by up to {size:.3g} (first for sample {rows[0]}); switch off sampling and "
            "dropout, or fix the seed inside predict",
            rows[:3],
        )


def independence(model: Model, batch: Batch, outputs: OutputArray) -> Iterator[Check]:
    n = len(batch)
    back = model.predict(batch.take(np.arange(n)[::-1]))[::-1]
    worst, rows = _difference(outputs, back, batch)
    for row in np.unique(np.linspace(0, n - 1, _ALONE).astype(int)):
        alone = model.predict(batch.take(np.array([row])))
        size, _ = _difference(outputs[[row]], alone, batch.take(np.array([row])))
        if size > worst:
            worst, rows = size, (batch.ids[row],)
    limit = _limit(model, outputs)
    if worst == 0:
        message = "rows alone and in reverse order give the same bits"
        yield Check("independence of the batch", True, message if n > 1 else "one row only: not shown")
    elif worst <= limit:
        yield Check(
            "independence of the batch",
            True,
            f"rows alone and in reverse order differ by at most {worst:.2g}, within rounding ({limit:.2g})",
        )
    else:
        yield Check(
            "independence of the batch",
            False,
            f"the output of sample {rows[0]} changes by {worst:.3g} with the rest of its batch (limit {limit:.2g}); "
            "look for statistics over the batch axis, or padding that is not masked",
            rows[:3],
        )


def reads(model: Model, batch: Batch, outputs: OutputArray) -> Iterator[Check]:
    names = [name for name in model.modalities if name in batch.inputs]
    still = [
        name
        for name in names
        if _difference(outputs, model.predict(batch.replace({name: foreign(batch.inputs[name])})), batch)[0] == 0
    ]
    if still:
        yield Check(
            "reads its inputs",
            None,
            f"no output moves at all when every row gets another row's {named(still)}: the model ignores it, or the "
            "adapter does not pass it on",
        )
    else:
        yield Check("reads its inputs", True, f"outputs move with {named(names)}")


def absence(model: Model, batch: Batch, task: Task, outputs: OutputArray) -> Iterator[Check]:
    if not model.native_absence:
        yield Check("absence", None, "no native absence; missing baselines stand in for an absent modality")
        return
    if len(model.modalities) < 2:
        yield Check("absence", None, "native, but the model reads one modality only: nothing is left without it")
        return
    for name in model.modalities:
        yield _absent(model, batch, task, name)


def _absent(model: Model, batch: Batch, task: Task, name: str) -> Check:
    absent = batch.replace(present={name: everywhere(batch, False)})
    try:
        without = model.predict(absent)
        other = model.predict(absent.replace({name: foreign(batch.inputs[name])}))
        every_second = np.arange(len(batch)) % 2 == 0
        mixed_batch = batch.replace(present={name: batch.present[name] & every_second})
        mixed = model.predict(mixed_batch)
    except Exception as error:  # any model may raise anything
        return Check("absence", False, f"with {name!r} absent, predict raised {told(error)}")
    if without.shape != (len(batch), task.width) or not np.isfinite(without).all():
        bad = tuple(batch.ids[~np.isfinite(without).all(axis=1)]) if without.ndim == 2 else ()
        return Check("absence", False, f"with {name!r} absent, outputs are not {task.width} finite numbers", bad[:3])
    limit = _limit(model, without)
    size, rows = _difference(without, other, batch)
    if size > limit:
        return Check(
            "absence",
            False,
            f"with {name!r} absent, its values still change the output of sample {rows[0]} by {size:.3g}; mask it "
            "before it is used, or declare no native absence",
            rows[:3],
        )
    gone = ~mixed_batch.present[name]
    size, rows = _difference(without[gone], mixed[gone], batch.take(np.flatnonzero(gone)))
    if size > limit:
        return Check(
            "absence",
            False,
            f"the output of sample {rows[0]} without {name!r} changes by {size:.3g} when other rows have it",
            rows[:3],
        )
    return Check("absence", True, f"with {name!r} absent, its values change nothing")


def two_stages(model: Model, batch: Batch) -> Iterator[Check]:
    clause = "two stages"
    view: TwoStage
    found = ""
    if isinstance(model, TwoStage):
        view = model
    elif isinstance(model, Stageable):
        staged, found = model.stage(batch)
        if staged is None:
            yield Check(clause, None, found)
            return
        view = staged
    else:
        yield Check(clause, None, "the model has one stage: every condition costs a whole pass")
        return
    features = {name: view.encode(name, batch) for name in model.modalities}
    worst, rows, where = 0.0, (), "the batch"
    for described, mixture, changed in _mixtures(model, view, batch):
        plain = model.predict(mixture)
        for _ in range(2):  # twice: a fusion that changes its features in place shows at the second
            size, differing = _difference(plain, view.fuse({**features, **changed}, mixture), batch)
            if size > worst:
                worst, rows, where = size, differing, described
    if worst == 0:
        message = found or "fuse(encode(x)) equals predict(x) bit for bit, also with modalities from other rows"
        yield Check(clause, True, message)
    elif worst <= _limit(model, model.predict(batch)):
        yield Check(clause, True, f"fuse(encode(x)) differs from predict(x) by at most {worst:.2g}, within rounding")
    else:
        yield Check(
            clause,
            False,
            f"on {where}, fuse(encode(x)) differs from predict(x) by {worst:.3g} for sample {rows[0]}; encode must "
            "depend on its modality alone, and fuse must leave the features as they were",
            rows[:3],
        )


def _mixtures(model: Model, view: TwoStage, batch: Batch) -> Iterator[tuple[str, Batch, dict[str, Any]]]:
    """The batch, and the batch with one modality from other rows, with the features that change."""
    yield "the batch", batch, {}
    for name in model.modalities:
        swapped = batch.replace({name: foreign(batch.inputs[name])})
        # The others' values are exchanged too while encoding: they must not matter.
        elsewhere = swapped.replace({o: foreign(batch.inputs[o]) for o in model.modalities if o != name})
        yield f"other rows' {name!r}", swapped, {name: view.encode(name, elsewhere)}


def _difference(one: OutputArray, two: OutputArray, batch: Batch) -> tuple[float, tuple[Any, ...]]:
    """Largest absolute difference (infinite where only one is finite), and ids of rows that differ, in order."""
    if one.shape != two.shape:
        return float("inf"), tuple(batch.ids[:1])
    if not one.size:
        return 0.0, ()
    difference = np.abs(one.astype(np.float64) - two.astype(np.float64))
    difference[np.isnan(difference)] = np.inf
    difference[(one == two) | (np.isnan(one) & np.isnan(two))] = 0
    by_row = difference.max(axis=1)
    return float(by_row.max()), tuple(batch.ids[by_row == by_row.max()]) if by_row.max() > 0 else ()


def _limit(model: Model, outputs: OutputArray) -> float:
    """What passes for rounding: the model's own tolerance, else 1e-4, of the largest output."""
    tolerance: float = getattr(model, "tolerance", _TOLERANCE)
    finite = np.abs(outputs[np.isfinite(outputs)])
    return tolerance * float(finite.max(initial=0.0))



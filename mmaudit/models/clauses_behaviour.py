"""The clauses that take several passes: what must not change the outputs, and what the two stages must give."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from mmaudit.models.clauses import Check, named, told
from mmaudit.models.protocol import Model, OutputArray, Stageable, TwoStage
from mmaudit.models.rows import copied, everywhere, foreign, same
from mmaudit.types import Batch, Task

_ALONE = 8
_TOLERANCE = 1e-4


def mutation(model: Model, given: Batch) -> Check:
    """Predicting leaves inputs, masks, target and ids as they were."""
    clause = "inputs not mutated"
    batch = copied(given)
    model.predict(batch)
    columns = {name: (values, batch.inputs[name]) for name, values in given.inputs.items()}
    columns |= {f"present[{name}]": (mask, batch.present[name]) for name, mask in given.present.items()}
    columns |= {"target": (given.target, batch.target), "ids": (given.ids, batch.ids)}
    changed = [name for name, (before, after) in columns.items() if not same(before, after)]
    if not changed:
        return Check(clause, True, "the batch is left as it was")
    before, after = columns[changed[0]]
    rows = tuple(given.ids[i] for i in range(len(given)) if not same(before[i : i + 1], after[i : i + 1]))
    where = f" (first for sample {rows[0]})" if rows else ""
    message = f"predict changed {named(changed)} in place{where}; work on a copy, or later conditions see the change"
    return Check(clause, False, message, rows[:3])


def determinism(model: Model, batch: Batch, outputs: OutputArray) -> Check:
    """The same batch twice gives the same outputs."""
    clause = "determinism"
    size, rows = _difference(outputs, model.predict(batch), batch)
    limit = _limit(model, outputs)
    if size == 0:
        return Check(clause, True, "the same batch twice gives the same bits")
    if size <= limit:
        return Check(clause, True, f"the same batch twice differs by at most {size:.2g}, within rounding ({limit:.2g})")
    message = (
        f"the same batch twice differs by up to {size:.3g} (most for sample {rows[0]}); switch off sampling and "
        "dropout, or fix the seed inside predict"
    )
    return Check(clause, False, message, rows[:3])


def independence(model: Model, batch: Batch, outputs: OutputArray) -> Check:
    """A row's output is the same alone, and with the others in reverse order."""
    clause = "independence of the batch"
    n = len(batch)
    if n < 2:
        return Check(clause, None, "one row only: not tested")
    back = model.predict(batch.take(np.arange(n)[::-1]))[::-1]
    worst, rows = _difference(outputs, back, batch)
    for row in np.unique(np.linspace(0, n - 1, _ALONE).astype(int)):
        single = batch.take(np.array([row]))
        size, differing = _difference(outputs[[row]], model.predict(single), single)
        if size > worst:
            worst, rows = size, differing
    limit = _limit(model, outputs)
    if worst == 0:
        return Check(clause, True, "rows alone and in reverse order give the same bits")
    if worst <= limit:
        message = f"rows alone and in reverse order differ by at most {worst:.2g}, within rounding ({limit:.2g})"
        return Check(clause, True, message)
    message = (
        f"the output of sample {rows[0]} changes by {worst:.3g} with the rest of its batch (rounding: {limit:.2g}); "
        "look for statistics over the batch axis, or padding that is not masked"
    )
    return Check(clause, False, message, rows[:3])


def reads(model: Model, batch: Batch, outputs: OutputArray) -> Check:
    """Outputs move with every modality; a warning where they do not."""
    clause = "reads its inputs"
    still = []
    for name in model.modalities:
        other = model.predict(batch.replace({name: foreign(batch.inputs[name])}))
        if _difference(outputs, other, batch)[0] == 0:
            still.append(name)
    if not still:
        return Check(clause, True, f"outputs move with {named(model.modalities)}")
    message = (
        f"no output moves when every row gets another row's {named(still)}: the model ignores it, or the adapter does "
        "not pass it on"
    )
    return Check(clause, None, message, warning=True)


def absence(model: Model, batch: Batch, task: Task) -> Iterator[Check]:
    """Each modality may be absent, and its values do not matter then; one check per modality."""
    if not model.native_absence:
        yield Check("absence", None, "no native absence; missing baselines stand in for an absent modality")
    elif len(model.modalities) < 2:
        yield Check("absence", None, "native, but the model reads one modality only: nothing is left without it")
    else:
        for name in model.modalities:
            yield _absent(model, batch, task, name)


def _absent(model: Model, batch: Batch, task: Task, name: str) -> Check:
    clause = "absence"
    others = [batch.present[other] for other in model.modalities if other != name]
    batch = batch.take(np.flatnonzero(np.any(others, axis=0)))
    if not len(batch):
        return Check(clause, None, f"no row has anything but {name!r}: its absence is not tested")
    absent = batch.replace(present={name: everywhere(batch, False)})
    partly = batch.replace(present={name: batch.present[name] & (np.arange(len(batch)) % 2 == 0)})
    try:
        without = model.predict(absent)
        other = model.predict(absent.replace({name: foreign(batch.inputs[name])}))
        mixed = model.predict(partly)
    except Exception as error:  # any model may raise anything
        return Check(clause, False, f"with {name!r} absent, predict raised {told(error)}")
    if without.shape != (len(batch), task.width):
        return Check(clause, False, f"with {name!r} absent, predict returned shape {list(without.shape)}")
    unusable = ~np.isfinite(without).all(axis=1)
    if unusable.any():
        rows = tuple(batch.ids[unusable])
        return Check(clause, False, f"with {name!r} absent, outputs of sample {rows[0]} are not finite", rows[:3])
    limit = _limit(model, without)
    size, rows = _difference(without, other, batch)
    if size > limit:
        message = (
            f"with {name!r} absent, its values still change the output of sample {rows[0]} by {size:.3g}; mask them "
            "before they are used, or declare no native absence"
        )
        return Check(clause, False, message, rows[:3])
    gone = np.flatnonzero(~partly.present[name])
    size, rows = _difference(without[gone], mixed[gone], batch.take(gone))
    if size > limit:
        message = f"without {name!r}, the output of sample {rows[0]} changes by {size:.3g} when other rows have it"
        return Check(clause, False, message, rows[:3])
    return Check(clause, True, f"with {name!r} absent, its values change nothing")


def two_stages(model: Model, batch: Batch, outputs: OutputArray) -> Check:
    """Encoding and fusing equals predicting, also with modalities from different rows."""
    clause = "two stages"
    view: TwoStage | None
    found = ""
    if isinstance(model, TwoStage):
        view = model
    elif isinstance(model, Stageable):
        view, found = model.stage(batch)
    else:
        return Check(clause, None, "the model offers no encode and fuse: every condition costs a whole pass")
    if view is None:
        return Check(clause, None, found)
    features = {name: view.encode(name, batch) for name in model.modalities}
    worst, limit = 0.0, _limit(model, outputs)
    for described, mixture, changed in _mixtures(model, view, batch):
        plain = model.predict(mixture)
        for _ in range(2):  # twice: a fusion that changes its features in place shows at the second
            size, rows = _difference(plain, view.fuse({**features, **changed}, mixture), batch)
            worst = max(worst, size)
            if size > limit:
                message = (
                    f"on {described}, fuse(encode(x)) differs from predict(x) by {size:.3g} for sample {rows[0]}; "
                    "encode must depend on its modality alone, and fuse must leave features as they were"
                )
                return Check(clause, False, message, rows[:3])
    if worst == 0:
        return Check(clause, True, found or "fuse(encode(x)) equals predict(x) bit for bit, on mixtures of rows too")
    return Check(clause, True, f"fuse(encode(x)) differs from predict(x) by at most {worst:.2g}, within rounding")


def _mixtures(model: Model, view: TwoStage, batch: Batch) -> Iterator[tuple[str, Batch, dict[str, Any]]]:
    """The batch, and the batch with one modality from other rows, with the features that change."""
    yield "the batch", batch, {}
    for name in model.modalities:
        swapped = batch.replace({name: foreign(batch.inputs[name])})
        # While encoding, the other modalities' values are exchanged too: they must not matter.
        elsewhere = swapped.replace({o: foreign(batch.inputs[o]) for o in model.modalities if o != name})
        yield f"a mixture with other rows' {name!r}", swapped, {name: view.encode(name, elsewhere)}


def _difference(one: OutputArray, two: OutputArray, batch: Batch) -> tuple[float, tuple[Any, ...]]:
    """Largest absolute difference (infinite where only one is finite), and ids of the rows where it is."""
    if one.shape != two.shape:
        return float("inf"), tuple(batch.ids[:1])
    if not one.size:
        return 0.0, ()
    equal = (one == two) | (np.isnan(one) & np.isnan(two))
    with np.errstate(invalid="ignore"):
        difference = np.where(equal, 0.0, np.abs(one.astype(np.float64) - two.astype(np.float64)))
    difference[np.isnan(difference)] = np.inf
    by_row = difference.max(axis=1)
    worst = float(by_row.max())
    return worst, tuple(batch.ids[by_row == worst]) if worst > 0 else ()


def _limit(model: Model, outputs: OutputArray) -> float:
    """What passes for rounding: the model's own tolerance, else 1e-4, of the largest output."""
    tolerance: float = getattr(model, "tolerance", _TOLERANCE)
    return tolerance * float(np.abs(outputs[np.isfinite(outputs)]).max(initial=0.0))

"""What cross-fitted predictors say of every sample from every subset of its modalities, and the file that keeps it.

Right of the run's border nothing is fitted: everything that is said of the information in the data rests on these
out-of-fold posteriors. `mmaudit.crossfit` makes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from mmaudit.errors import Undefined
from mmaudit.headed import read_headed, write_headed
from mmaudit.outputs import column
from mmaudit.types import Array, FloatArray, IntArray

Subset = tuple[str, ...]

SCHEMA = "mmaudit.crossfit/1"
DATA, DECISION = "data", "decision"


@dataclass(frozen=True, eq=False)
class CrossFitted:
    """Out-of-fold predictions of the truth, and of the model's own answer, from subsets of the modalities.

    No predictor ever saw the fold of a row that it answers for, so averages over rows estimate what is predictable on
    new samples: v(S) = H(Y) − cross-entropy is a lower bound of the information that S has about Y, up to sampling.

    Attributes:
        positions: `int64[r]`, rows of the data set that were used, ascending: those with every modality recorded.
        fold: `int64[r]`, outer fold of each row under the first seed; clusters never straddle folds.
        target: `int64[r]`, `int8[r, labels]` or `float64[r, dims]`: the truth.
        decision: the same for the audited model's clean answer (class, labels, value); None without a model. A row the
            model did not answer holds −1 (NaN in regression).
        posterior: by (of, subset): `float64[seeds, r, k]`, probabilities out of fold; labels: of each label by itself;
            regression: predicted means. `of` is `data` (target is the truth) or `decision` (the model's answer); a
            subset is a tuple of modality names in data set order. What could not be fitted is not there, and
            `reasons` says why. Rows without a decision are NaN under `decision`.
        prior: by `of`: `float64[r, k]`, class shares (labels: shares, regression: mean) of the row's training folds.
        about: plain values: `rows`, `seeds`, `folds`, `features` and `width` per modality, `learner`, `reasons`.
        folds: `int64[seeds, r]`, `fold` under every seed: each repeats the cross-fitting with other folds. None where
            that is not known.
        codes: by modality `int64[r]`, a few coarse codes made without labels, for exact permutation tests.
    """

    positions: IntArray
    fold: IntArray
    target: Array
    decision: Array | None
    posterior: Mapping[tuple[str, Subset], FloatArray]
    prior: Mapping[str, FloatArray]
    about: dict[str, Any] = field(default_factory=dict)
    folds: IntArray | None = None
    codes: Mapping[str, IntArray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def reasons(self) -> dict[str, str]:
        """Why something was not fitted: by `of`, or by the name of a modality whose encoder was not used."""
        return dict(self.about.get("reasons", {}))

    def subsets(self, of: str = DATA) -> tuple[Subset, ...]:
        """Return the subsets that were fitted, small ones first, else in data set order."""
        return tuple(subset for kind, subset in self.posterior if kind == of)

    def get(self, of: str, subset: Subset) -> FloatArray:
        """Return `posterior[of, subset]`.

        Raises:
            Undefined: it was not fitted; says why.
        """
        found = self.posterior.get((of, subset))
        if found is None:
            known = "; ".join("+".join(s) for s in self.subsets(of)) or "nothing"
            why = self.reasons.get(of, f"no predictor was fitted from {'+'.join(subset)} (fitted: {known})")
            raise Undefined(why)
        return found


def write_crossfit(path: Path, crossfitted: CrossFitted) -> None:
    """Write the file beside its place and rename it: it exists in whole or not at all.

    Probabilities are kept as float32, predicted means as float64; `crossfit` rounds what it returns accordingly, so
    that a resumed audit goes on with the same numbers.
    """
    columns: dict[str, pa.Array] = {
        "position": pa.array(crossfitted.positions),
        "fold": pa.array(crossfitted.fold),
        **_answers("target", crossfitted.target),
        **(_answers("decision", crossfitted.decision) if crossfitted.decision is not None else {}),
        **{f"prior.{of}": _lists(values) for of, values in crossfitted.prior.items()},
    }
    columns |= {f"code.{name}": pa.array(code) for name, code in crossfitted.codes.items()}
    if crossfitted.folds is not None:
        columns["folds"] = _lists(crossfitted.folds.T)
    index = []
    regression = crossfitted.target.dtype.kind == "f"
    for i, ((of, subset), seeds) in enumerate(crossfitted.posterior.items()):
        index.append({"of": of, "subset": list(subset), "seeds": len(seeds), "width": seeds.shape[2]})
        for s, values in enumerate(seeds):
            columns[f"posterior.{i}.{s}"] = _lists(values if regression else values.astype(np.float32))
    header = {
        "posterior": index,
        "prior": {of: values.shape[1] for of, values in crossfitted.prior.items()},
        "dims": {"target": _width(crossfitted.target), "decision": _width(crossfitted.decision)},
        "folds": None if crossfitted.folds is None else len(crossfitted.folds),
        "about": crossfitted.about,
    }
    write_headed(path, pa.table(columns), SCHEMA, header, dictionary=False)


def read_crossfit(path: Path) -> CrossFitted | None:
    """Read the file; None where there is none.

    Raises:
        DamagedRun: it is cut short, overwritten, or not a file of this kind.
    """
    return read_headed(path, SCHEMA, _rebuilt)


def _rebuilt(table: pa.Table, header: Any) -> CrossFitted:
    posterior = {
        (str(entry["of"]), tuple(entry["subset"])): np.stack(
            [_matrix(table, f"posterior.{i}.{s}", entry["width"]) for s in range(entry["seeds"])]
        )
        for i, entry in enumerate(header["posterior"])
    }
    target = _read_answers(table, "target", header["dims"]["target"])
    if target is None:
        raise ValueError("no column 'target'")
    return CrossFitted(
        positions=column(table, "position"),
        fold=column(table, "fold"),
        target=target,
        decision=_read_answers(table, "decision", header["dims"]["decision"]),
        posterior=posterior,
        prior={of: _matrix(table, f"prior.{of}", width) for of, width in header["prior"].items()},
        about=header["about"],
        folds=None if header["folds"] is None else _flat(table, "folds", header["folds"]).T,
        codes={name[5:]: column(table, name) for name in table.column_names if name.startswith("code.")},
    )


def _width(values: Array | None) -> int | None:
    """Columns of a table; 0 for a plain column, None where there is none."""
    return None if values is None else 0 if values.ndim == 1 else values.shape[1]


def _answers(name: str, values: Array) -> dict[str, pa.Array]:
    return {name: pa.array(values) if values.ndim == 1 else _lists(values)}


def _read_answers(table: pa.Table, name: str, width: int | None) -> Array | None:
    if width is None:
        return None
    return column(table, name) if width == 0 else _flat(table, name, width)


def _lists(values: Array) -> pa.FixedSizeListArray:
    """A table's rows as a column of lists of one length."""
    flat = pa.array(np.ascontiguousarray(values).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, values.shape[1])


def _flat(table: pa.Table, name: str, width: int) -> Array:
    # The lists come back as variable-size (the Arrow schema is not stored); all have the same length.
    values: Array = table.column(name).combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return values.reshape(len(table), width)


def _matrix(table: pa.Table, name: str, width: int) -> FloatArray:
    return _flat(table, name, width).astype(np.float64)

"""A scikit-learn estimator or pipeline as a model of several modalities."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from mmaudit.errors import BadInput, ContractBroken
from mmaudit.models.arguments import known_modalities, matrix, modality_names, one_of, require_inputs
from mmaudit.models.fingerprints import code_digest, object_digest
from mmaudit.models.protocol import OutputArray, Outputs
from mmaudit.types import Array, Batch, digest


class SklearnModel:
    """A fitted scikit-learn estimator (or pipeline, or anything with its interface) as a model.

    Args:
        estimator: fitted. A classifier needs `predict_proba`, a regressor `predict`.
        modalities: names of its inputs, in its order.
        outputs: by default what the estimator's own interface declares: `"probabilities"` for a classifier
            (`predict_proba`), `"values"` for a regressor (`predict`). `"logits"` uses `decision_function` as logits,
            which for logistic regression is exact and for a support vector machine is your statement.
        features: what the estimator was fitted on. `"concatenate"`: one matrix, the numeric modalities flattened side
            by side. `"frame"`: a pandas DataFrame with a column per text or scalar modality, called as the modality,
            and columns `name_0`, `name_1`, … for a vector, unless `columns` names them.
        columns: features="frame": per modality the names its columns had when the estimator was fitted.
        prepare: per modality a function from an array of rows to the array the estimator was fitted on (sparse
            matrices are welcome), such as a vectoriser's `transform`.
        classes: the estimator's class labels in the order of the task's classes. Needed when the estimator's
            `classes_` are not 0, 1, …, k−1. A class the estimator never saw gets probability 0.
        absence: `"nan"` if the estimator handles missing values itself: absent numbers become NaN, absent text None.
            By default missing baselines stand in.
        name: shown in the report; the estimator's class by default.
        fingerprint: replaces the digest of the estimator's parameters and fitted arrays.

    Raises:
        BadInput: the estimator is not fitted, or has no way to give the outputs asked for, or its classes are in an
            order nobody declared; or it knows its columns by name, and features="concatenate" has none.
    """

    def __init__(
        self,
        estimator: Any,
        modalities: Sequence[str],
        *,
        outputs: Outputs | None = None,
        features: Literal["concatenate", "frame"] = "concatenate",
        columns: Mapping[str, Sequence[str]] | None = None,
        prepare: Mapping[str, Callable[[Array], Any]] | None = None,
        classes: Sequence[Any] | None = None,
        absence: Literal["nan"] | None = None,
        name: str | None = None,
        fingerprint: str | None = None,
    ) -> None:
        self.name = name or _described(estimator)
        self._who = f"SklearnModel {self.name!r}"
        self.modalities = modality_names(self._who, modalities)
        one_of(self._who, "outputs", outputs, (None, "probabilities", "logits", "values"))
        one_of(self._who, "features", features, ("concatenate", "frame"))
        one_of(self._who, "absence", absence, (None, "nan"))
        known_modalities(self._who, "prepare", prepare or {}, self.modalities)
        known_modalities(self._who, "columns", columns or {}, self.modalities)
        if columns and features != "frame":
            raise BadInput(f"{self._who}: columns are names in a data frame; say features='frame' too.")
        _require_fitted(self._who, estimator)
        if features == "concatenate":
            _require_unnamed(self._who, estimator)
        self.native_absence = absence is not None
        self._estimator = estimator
        self._features = features
        self._columns = {name: list(names) for name, names in (columns or {}).items()}
        self._prepare = dict(prepare or {})
        self._given = fingerprint
        self.outputs, self._method = _method(self._who, estimator, outputs)
        self.classes = None if classes is None else tuple(str(label) for label in classes)
        self._order = _class_order(self._who, estimator, classes, self.outputs)

    @cached_property
    def fingerprint(self) -> str:
        """The one given, else a digest of the estimator's parameters and fitted arrays; and of how it is called."""
        identity = self._given if self._given is not None else object_digest(self._estimator)
        prepare = {name: code_digest(function) for name, function in self._prepare.items()}
        options = [self.modalities, self.outputs, self._features, self._columns, self._order, self.native_absence]
        return digest("sklearn", identity, prepare, options)

    def predict(self, batch: Batch) -> OutputArray:
        """Return float32 [n, k]: probabilities, decision values as logits, or regression values.

        Raises:
            BadInput: a modality is not in the batch, or is text without `prepare` under `features="concatenate"`.
            ContractBroken: the estimator returned something else than one row of numbers per row.
        """
        require_inputs(self._who, batch, self.modalities)
        columns = {name: self._column(name, batch) for name in self.modalities}
        table = self._frame(columns) if self._features == "frame" else self._concatenated(columns)
        result = getattr(self._estimator, self._method)(table)
        if isinstance(result, list):
            return self._multilabel(result, len(batch))
        result = np.asarray(result)
        if self.outputs == "logits" and result.ndim == 1:
            # Two classes: softmax of [0, d] is the sigmoid of the decision value d.
            result = np.stack([np.zeros_like(result), result], axis=1)
        return matrix(self._who, self._ordered(result), len(batch))

    def _column(self, modality: str, batch: Batch) -> Any:
        values = batch.inputs[modality]
        present = batch.present[modality]
        if self.native_absence and not present.all():
            values = values.copy() if values.dtype.kind in "fO" else values.astype(np.float64)
            values[~present] = None if values.dtype == object else np.nan
        return self._prepare[modality](values) if modality in self._prepare else values

    def _concatenated(self, columns: Mapping[str, Any]) -> Any:
        parts: list[Any] = []
        for name, values in columns.items():
            if hasattr(values, "tocsr"):
                parts.append(values)
                continue
            values = np.asarray(values)
            if values.dtype.kind not in "fiub":
                raise BadInput(
                    f"{self._who}: modality {name!r} is text or ragged, which features='concatenate' cannot put into a "
                    f"matrix; give prepare={{{name!r}: vectoriser.transform}}, or features='frame' for a pipeline "
                    "whose ColumnTransformer takes text."
                )
            parts.append(values.reshape(len(values), -1))
        if any(hasattr(part, "tocsr") for part in parts):
            import scipy.sparse

            return scipy.sparse.hstack(parts).tocsr()
        return np.concatenate(parts, axis=1)

    def _frame(self, columns: Mapping[str, Any]) -> Any:
        import pandas

        table: dict[str, Any] = {}
        for name, values in columns.items():
            values = values.toarray() if hasattr(values, "toarray") else np.asarray(values)
            if values.ndim == 1:
                named = {self._columns.get(name, [name])[0]: values}
            else:
                flat = values.reshape(len(values), -1)
                names = self._columns.get(name, [f"{name}_{i}" for i in range(flat.shape[1])])
                if len(names) != flat.shape[1]:
                    raise BadInput(
                        f"{self._who}: columns[{name!r}] names {len(names)} columns, the data has {flat.shape[1]}."
                    )
                named = dict(zip(names, flat.T, strict=True))
            twice = sorted(set(table) & set(named))
            if twice:
                raise BadInput(f"{self._who}: two modalities give a column {twice[0]!r}; name them apart by columns=.")
            table.update(named)
        frame = pandas.DataFrame(table)
        fitted = getattr(self._estimator, "feature_names_in_", None)
        if fitted is None:
            return frame
        missing = [name for name in fitted if name not in table]
        if missing:
            raise BadInput(
                f"{self._who}: the estimator was fitted on a column {missing[0]!r}, but the modalities give "
                f"{_some(list(table))}; say columns={{modality: names}} as they were called then."
            )
        return frame[list(fitted)]

    def _multilabel(self, parts: Sequence[Array], n: int) -> OutputArray:
        """One predict_proba array per label, each with the columns of that label's `classes_`."""
        result = np.zeros((n, len(parts)))
        for label, (part, seen) in enumerate(zip(parts, self._estimator.classes_, strict=True)):
            if not set(np.asarray(seen).tolist()) <= {0, 1}:
                raise ContractBroken(self._who, "shape", f"label {label} has classes {list(seen)}; expected 0 and 1")
            for column, value in enumerate(np.asarray(seen).tolist()):
                if value == 1:
                    result[:, label] = part[:, column]
        return matrix(self._who, result, n)

    def _ordered(self, result: Array) -> Array:
        if self._order is None or result.ndim != 2:
            return result
        ordered = np.zeros((len(result), len(self._order)), dtype=result.dtype)
        for column, source in enumerate(self._order):
            if source >= 0:
                ordered[:, column] = result[:, source]
        return ordered


def _described(estimator: Any) -> str:
    steps = getattr(estimator, "steps", None)
    return type(steps[-1][1] if steps else estimator).__name__


def _require_fitted(who: str, estimator: Any) -> None:
    if isinstance(estimator, type):
        raise BadInput(f"{who}: {estimator.__name__} is a class; give a fitted object of it.")
    if not any(hasattr(estimator, name) for name in ("predict", "predict_proba", "decision_function")):
        raise BadInput(
            f"{who}: {type(estimator).__name__} has neither predict nor predict_proba; give a fitted scikit-learn "
            "classifier, regressor or pipeline that ends in one."
        )
    try:
        check_is_fitted(estimator)
    except NotFittedError as error:
        raise BadInput(f"{who}: the estimator is not fitted; call fit(...) on training data first.") from error
    except TypeError as error:  # not an estimator in scikit-learn's sense
        raise BadInput(f"{who}: {error} Give a scikit-learn estimator, or wrap a function by FunctionModel.") from error


def _require_unnamed(who: str, estimator: Any) -> None:
    """Refuse an estimator that was fitted on named columns: side by side they could be in another order."""
    names = getattr(estimator, "feature_names_in_", None)
    if names is not None:
        raise BadInput(
            f"{who}: the estimator was fitted on named columns ({_some(list(names))}), and features='concatenate' "
            "passes a matrix without names, perhaps in another order; say features='frame' and "
            "columns={modality: names}."
        )


def _method(who: str, estimator: Any, outputs: Outputs | None) -> tuple[Outputs, str]:
    """The scale of the outputs and the estimator's method that gives them."""
    classifier = hasattr(estimator, "classes_")
    if outputs is None:
        outputs = "probabilities" if classifier else "values"
    if outputs == "values":
        if classifier:
            raise BadInput(f"{who}: outputs='values' is for regression, but the estimator is a classifier.")
        return outputs, "predict"
    if not classifier:
        raise BadInput(f"{who}: outputs={outputs!r} needs a classifier, but the estimator has no classes_.")
    method = "predict_proba" if outputs == "probabilities" else "decision_function"
    if not hasattr(estimator, method):
        advice = {
            "predict_proba": "fit it with probabilities (SVC(probability=True), log_loss), wrap it in "
            "CalibratedClassifierCV, or say outputs='logits' to read its decision_function as logits",
            "decision_function": "leave outputs out to use predict_proba",
        }[method]
        raise BadInput(f"{who}: the classifier has no {method}, so it gives no {outputs}; {advice}.")
    if method == "decision_function" and _pairwise(_last_step(estimator)):
        raise BadInput(
            f"{who}: decision_function_shape='ovo' gives one column for each pair of classes, which are no logits of "
            "the classes; set it to 'ovr' (no new fit is needed), or leave outputs out to use predict_proba."
        )
    return outputs, method


def _last_step(estimator: Any) -> Any:
    """What answers: the last step of a pipeline, and of a pipeline within it."""
    while hasattr(estimator, "steps"):
        estimator = estimator.steps[-1][1]
    return estimator


def _pairwise(classifier: Any) -> bool:
    """Whether decision values are of pairs of classes; with three classes there are as many pairs, so widths agree."""
    return getattr(classifier, "decision_function_shape", None) == "ovo" and len(classifier.classes_) > 2


def _class_order(who: str, estimator: Any, classes: Sequence[Any] | None, outputs: Outputs) -> list[int] | None:
    """For each class of the task its column in the estimator's output (−1: never seen); None where the two agree."""
    if outputs == "values":
        return None
    seen = estimator.classes_
    if isinstance(seen, list):  # one entry per label
        if classes is not None:
            raise BadInput(f"{who}: classes= orders the classes of one target; this estimator predicts several labels.")
        return None
    found = np.asarray(seen).tolist()
    if classes is None:
        if found != list(range(len(found))):
            raise BadInput(
                f"{who}: the estimator's classes_ are {_some(found)}, not 0 to {len(found) - 1}; give "
                "classes=[...], its labels in the order of the task's classes."
            )
        return None
    wanted = np.asarray(classes).tolist()
    unknown = [label for label in found if label not in wanted]
    if unknown or len(set(wanted)) != len(wanted):
        raise BadInput(
            f"{who}: classes={_some(wanted)} must hold each label once; the estimator knows {_some(found)}, "
            f"of which {_some(unknown) if unknown else 'some are repeated'}{' are missing' if unknown else ''}."
        )
    order = [found.index(label) if label in found else -1 for label in wanted]
    if -1 in order and outputs == "logits":
        raise BadInput(
            f"{who}: the estimator never saw class {wanted[order.index(-1)]!r} and has no logit for it; "
            "use outputs='probabilities', where it gets 0."
        )
    return order


def _some(values: Sequence[Any]) -> str:
    shown = ", ".join(map(repr, values[:6]))
    return f"[{shown}{', …' if len(values) > 6 else ''}]"

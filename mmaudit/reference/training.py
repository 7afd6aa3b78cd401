"""From training data to trained members: features read once, then one method after the other."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mmaudit.auditing import Prepared, spread
from mmaudit.data import Dataset
from mmaudit.errors import BadInput, MMAuditError, StorageFailed
from mmaudit.folder import make_folder, write_atomically
from mmaudit.models import Retriever, TwoStage
from mmaudit.reference import checkpoint, saved
from mmaudit.reference.answers import Member
from mmaudit.reference.base import Method, Parts
from mmaudit.reference.forms import FROZEN
from mmaudit.reference.holdout import Holdout
from mmaudit.reference.inputs import Inputs
from mmaudit.reference.loop import Budget, Table, train
from mmaudit.reference.member_runs import member_run
from mmaudit.reference.optimism import RETRIEVAL, optimism
from mmaudit.reference.overhead import audited_microseconds, fusion_microseconds
from mmaudit.reference.search import trials_of
from mmaudit.reference.trained import Trained, Trial
from mmaudit.store import Run
from mmaudit.types import FloatArray, IntArray, digest

ENCODERS = ("auto", "frozen", "default")
TIMED_ROWS = 256
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Choice:
    """What `retrain` was asked for; see its arguments. Raises `BadInput` for one that cannot be used."""

    methods: tuple[str, ...]
    seeds: int
    tune: int
    budget: Budget
    encoders: str
    width: int
    validation: float | Dataset

    def __post_init__(self) -> None:
        if not self.methods:
            raise BadInput("methods is empty; name at least one of 'mmaudit list references'.")
        for name, value in (("seeds", self.seeds), ("tune", self.tune), ("width", self.width)):
            if not isinstance(value, int) or value < 1:
                raise BadInput(f"{name}={value!r} is not usable; give a whole number of at least 1.")
        if self.encoders not in ENCODERS:
            raise BadInput(f"encoders={self.encoders!r}; expected one of {', '.join(ENCODERS)}.")


class Workshop:
    """Reads the training data as the references see it, and trains on it.

    Args:
        run: of the audited model.
        prepared: that model and its data.
        rows: to train and to validate on.
        choice: what was asked for.
        device: where to train.
        step: called with (what is being done, steps done, steps planned).
        note: what a reader must know of the training data; said of every method.
    """

    def __init__(
        self,
        run: Run,
        prepared: Prepared,
        rows: Holdout,
        choice: Choice,
        device: torch.device,
        step: Progress,
        note: str = "",
    ) -> None:
        self.run, self.prepared, self.choice, self.device, self.step = run, prepared, choice, device, step
        self.folder = run.folder / "references"
        self.stage = _stage(prepared, choice.encoders)
        self.names = tuple(prepared.model.modalities)
        self.inputs = Inputs.fit(
            rows.train, rows.training, stage=self.stage, modalities=self.names, width=choice.width, device=device
        )
        self.centre, self.scale = _scale(rows.train, rows.training)
        self.training = self._table(rows.train, rows.training)
        self.validation = self._table(rows.other, rows.validation)
        self.spec = {
            "version": checkpoint.VERSION,
            "train": rows.train.fingerprint,
            "model": prepared.model.fingerprint if self.stage is not None else "",
            "inputs": self.inputs.spec(),
            "budget": asdict(choice.budget) | {"clip": str(choice.budget.clip)},
            "validation": rows.other.fingerprint if rows.given else choice.validation,
            "seeds": choice.seeds,
            "tune": choice.tune,
        }
        # Encoders of its own are part of what a reference takes; then the audited fusion alone is no match for it.
        same = all(source == FROZEN for source in self.inputs.source.values())
        self.audited_microseconds = audited_microseconds(prepared.stage if same else None, self._timed(), self.names)
        self.optimism, said = self._optimism(rows)
        self.note = "; ".join(filter(None, (note, said)))
        saved.write_tensors(self.folder / "inputs.safetensors", self.inputs.state())
        saved.write_json(self.folder / "inputs.json", self.inputs.spec())

    def _table(self, data: Dataset, rows: IntArray) -> Table:
        inputs, present = self.inputs.read(data, rows)
        target = np.asarray(data.target)[rows]
        if data.task.kind == "regression":
            target = ((target.astype(np.float64).reshape(len(rows), -1) - self.centre) / self.scale).astype(np.float32)
        return Table(inputs, present, torch.from_numpy(target).to(self.device))

    def _optimism(self, rows: Holdout) -> tuple[dict[str, Any] | None, str]:
        """Whether the audited model knows the validation rows, and so do its frozen encoders; and what to say of it."""
        if all(x != FROZEN for x in self.inputs.source.values()):
            return None, ""
        self.step("asking the audited model about the validation rows", 0, 1)
        known = optimism(
            self.run, self.prepared.model, rows.other, rows.validation, self.centre, self.scale, given=rows.given
        )
        return (known.to_json(), known.note) if known else (None, RETRIEVAL)

    def train(self, method: Method) -> list[Member]:
        """Train a method; one that answers from a single modality is trained once for each."""
        if not method.single:
            return self._train(method, self.names, method.name, method.title)
        return [
            member
            for name in self.names
            for member in self._train(method, (name,), f"{method.name}[{name}]", f"{method.title}: {name}")
        ]

    def _train(self, method: Method, names: tuple[str, ...], label: str, title: str) -> list[Member]:
        folder = self.folder / slug(label)
        about = {"schema": saved.SCHEMA, "method": label, "title": title, "source": method.source}
        inputs = self.inputs.only(names)
        parts = Parts(names, inputs.encoders, inputs.widths, self.run.task, self.run.task.target_modality or None)
        made_with = digest(self.spec, label, {k: asdict(h) for k, h in method.hyper.items()})
        try:
            method.require(parts)
            known = saved.read_json(folder / saved.ABOUT) or {}
            if known.get("spec") == made_with and (folder / saved.WEIGHTS).exists():
                trained = saved.read_weights(folder, method, parts, self.device)
                said = {"note": self._note(trained, known["tuning"]), "optimism": self.optimism}
                if any(known.get(k) != v for k, v in said.items()):  # the audited data may have changed
                    saved.write_json(folder / saved.ABOUT, {**known, **said})
            else:
                trained, search = self._search_and_train(method, parts, folder, label)
                described = self._described(trained, inputs, search)
                saved.write_weights(folder, trained)
                saved.write_json(folder / saved.ABOUT, {**about, "spec": made_with, "tuning": search, **described})
        except StorageFailed:
            raise
        except MMAuditError as error:
            self._refuse(folder, about, str(error))
            return []
        except Exception as error:  # whatever a method of somebody else's raises must not cost the others
            make_folder(folder)
            write_atomically(folder / "error.txt", traceback.format_exc().encode("utf-8", "backslashreplace"))
            self._refuse(folder, about, f"{type(error).__name__}: {error} ({folder / 'error.txt'} has the traceback)")
            return []
        places = {i: trained.trials[i].seed for i in trained.usable}
        runs = [
            member_run(
                self.run,
                folder / f"seed-{seed}",
                f"{title}, seed {seed}",
                digest(made_with, i),
                self.prepared.fingerprints(),
            )
            for i, seed in places.items()
        ]
        return [Member(trained, runs, self.centre, self.scale)] if runs else []

    def _refuse(self, folder: Path, about: Mapping[str, Any], reason: str) -> None:
        saved.write_json(folder / saved.ABOUT, {**about, "seeds": [], "outcomes": [], "refused": reason})

    def _search_and_train(
        self, method: Method, parts: Parts, folder: Path, label: str
    ) -> tuple[Trained, list[dict[str, Any]]]:
        """Choose hyper-parameters on the validation rows, then train all seeds with them."""
        tables = self.training.only(parts.modalities), self.validation.only(parts.modalities)
        budget = self.choice.budget
        trials = trials_of(method, self.choice.tune)
        hyper: Mapping[str, float] = {}
        search: list[dict[str, Any]] = []
        if len(trials) > 1:
            found = train(
                method, parts, *tables, trials, budget,
                device=self.device, folder=folder / "search", progress=self._progress(f"tuning {label}"),
            )  # fmt: skip
            search = [
                {"hyper": dict(t.hyper), "validation": v, "outcome": o}
                for t, v, o in zip(found.trials, found.validation, found.outcomes, strict=True)
            ]
            with suppress(OSError):
                (folder / "search").rmdir()  # its checkpoint is gone
            if found.usable:
                hyper = found.trials[max(found.usable, key=lambda i: found.validation[i])].hyper
        seeds = [Trial(seed, hyper) for seed in range(self.choice.seeds)]
        trained = train(
            method, parts, *tables, seeds, budget,
            device=self.device, folder=folder, progress=self._progress(f"training {label}"),
        )  # fmt: skip
        return trained, search

    def _note(self, trained: Trained, search: list[dict[str, Any]]) -> str:
        return "; ".join(filter(None, (trained.note, _failed(search), self._unfinished(trained), self.note)))

    def _unfinished(self, trained: Trained) -> str:
        """Whether the budget ended before the trainings did."""
        epochs = self.choice.budget.epochs
        seeds, last = len(trained.usable), sum(trained.best_epoch[i] == epochs - 1 for i in trained.usable)
        if 2 * last <= seeds:
            return ""
        return f"{last} of {seeds} seeds were best in the last of {epochs} epochs: more may make it better"

    def _progress(self, what: str) -> Callable[[int, int], None]:
        return lambda done, total: self.step(what, done, total)

    def _timed(self) -> Any:
        return self.prepared.data.rows(spread(len(self.prepared.data), TIMED_ROWS))

    def _described(self, trained: Trained, inputs: Inputs, search: list[dict[str, Any]]) -> dict[str, Any]:
        """What a report says about a trained method."""
        features, present = inputs(self._timed())
        return {
            "seeds": [t.seed for t in trained.trials],
            "outcomes": trained.outcomes,
            "hyper": dict(trained.trials[0].hyper),
            "budget": self.spec["budget"],
            "features": dict(inputs.said),
            "parameters": trained.size,
            "seconds_training": trained.seconds / len(trained.trials),
            "microseconds_fusion": fusion_microseconds(trained, features, present) if trained.usable else None,
            "microseconds_audited_fusion": self.audited_microseconds,
            "n_train": len(self.training),
            "n_validation": len(self.validation),
            "best_epochs": trained.best_epoch,
            "validation": trained.validation,
            "device": str(self.device),
            "note": self._note(trained, search),
            "optimism": self.optimism,
            "told_missing": self.run.task.kind != "retrieval",
        }


def _failed(search: list[dict[str, Any]]) -> str:
    """How many trials of a search came to nothing, and why the first of them did."""
    outcomes = [t["outcome"] for t in search if t["outcome"]]
    if not outcomes:
        return ""
    taken = ", so the defaults were taken" if len(outcomes) == len(search) else ""
    return f"{len(outcomes)} of {len(search)} trials of the search failed ({outcomes[0]}){taken}"


def slug(label: str) -> str:
    """A folder's name for a label: letters, digits, dashes and underscores; a digest where others were replaced."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", label).strip("-")
    return plain if plain == label else f"{plain[:40]}-{digest(label)[:6]}"


def _stage(prepared: Prepared, encoders: str) -> TwoStage | None:
    """The audited model's frozen encoders, where they are asked for."""
    if encoders == "default":
        return None
    if isinstance(prepared.model, Retriever):
        return prepared.model  # type: ignore[return-value]  # only `encode` is asked
    if encoders == "frozen" and prepared.stage is None:
        raise BadInput(
            f"encoders='frozen', but the audited model is not two-stage ({prepared.stages}); use encoders='auto' or "
            "'default'."
        )
    return prepared.stage


def _scale(data: Dataset, training: IntArray) -> tuple[FloatArray, FloatArray]:
    """Centre and scale of the target: those of regressions are standardised."""
    if data.task.kind != "regression":
        return np.zeros(1), np.ones(1)
    y = np.asarray(data.target, np.float64).reshape(len(data), -1)[training]
    deviation = y.std(axis=0)
    return y.mean(axis=0), np.where(deviation > 0, deviation, 1.0)

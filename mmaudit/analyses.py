"""What an audit measures beside its conditions: each asks the model, or reads the data, once more, and writes one file.

Left of the border, like `predict`: what the numbers mean is worked out later, from the files alone.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

from mmaudit.attribution import attribute
from mmaudit.attributions_file import FILE as ATTRIBUTIONS
from mmaudit.crossfit import write_crossfit_of
from mmaudit.crossfit.run_file import NAME as CROSSFIT
from mmaudit.crossing import cross
from mmaudit.data import Dataset
from mmaudit.errors import MMAuditError, StorageFailed
from mmaudit.execution import Crew, Worker
from mmaudit.folder import make_folder, write_atomically
from mmaudit.models import Model, TwoStage
from mmaudit.offdata import FILE as OFF_DATA
from mmaudit.offdata import measure_off_data
from mmaudit.plan import ANALYSES
from mmaudit.probes import Source
from mmaudit.reliance.combinations import FILE as CROSSED
from mmaudit.store import Run


@dataclass(frozen=True, eq=False)
class Subject:
    """What an analysis may look at.

    Attributes:
        run: predicted, not yet scored.
        data, model, source: of the audit.
        stage: the model's two-stage view, or None.
        batch_rows: most samples per forward pass.
    """

    run: Run
    data: Dataset
    model: Model
    source: Source
    stage: TwoStage | None
    batch_rows: int


def analyse(subject: Subject, names: Sequence[str], crew: Crew | None = None) -> None:
    """Make the files of these analyses that the run does not have yet; why one cannot be made goes into run.json.

    Args:
        subject: what is audited.
        names: of `mmaudit.plan.ANALYSES`.
        crew: workers that have the model already, each to make one at a time; None: they are made here.
    """
    before: dict[str, str] = subject.run.header.get("not_analysed", {})
    found: dict[str, str] = {}
    wanted = [name for name in ANALYSES if name in names]
    if crew is None or not crew.started:
        found = {name: attempt(subject, name) for name in wanted}
    else:
        crew.do(
            [Analyse(name) for name in wanted], lambda work, reason: found.update({cast(Analyse, work).name: reason})
        )
    kept = {name: reason for name, reason in before.items() if name not in wanted}
    reasons = kept | {name: found[name] for name in wanted if found[name]}
    if reasons != before:
        subject.run.update(not_analysed=reasons)


def leave_out(run: Run, names: Sequence[str]) -> None:
    """Say of the analyses that a run does not have why a budget leaves them out."""
    why = "left out because of the budget, which goes to conditions; audit again to the same folder without one"
    absent = {name: why for name in ANALYSES if name in names and not (run.folder / _FILES[name]).exists()}
    if new := {name: why for name in absent if name not in run.header.get("not_analysed", {})}:
        run.update(not_analysed={**run.header.get("not_analysed", {}), **new})


@dataclass(frozen=True)
class Analyse:
    """Make the file of an analysis; a work for an executor's worker. Gives the reason where it cannot be made."""

    name: str
    timed: ClassVar[bool] = False

    @property
    def said(self) -> str:
        """The analysis."""
        return f"analysis {self.name}"

    def __call__(self, worker: Worker) -> str:
        """Do it."""
        run = Run.open(worker.run.folder)
        of = Subject(run, worker.data, cast(Model, worker.model), worker.source, worker.stage, run.header["batch_rows"])
        return attempt(of, self.name)


def attempt(subject: Subject, name: str) -> str:
    """Make the file of one analysis, if the run does not have it; return why it cannot be made, or an empty string."""
    try:
        _ANALYSES[name](subject)
    except (MemoryError, StorageFailed):
        raise
    except MMAuditError as error:
        return str(error)
    except Exception as error:
        # A model may raise anything about inputs it has never seen; what was predicted is not lost for that.
        make_folder(subject.run.folder / "errors")
        file = subject.run.folder / "errors" / f"{name}.txt"
        write_atomically(file, traceback.format_exc().encode("utf-8", "backslashreplace"))
        return f"{type(error).__name__}: {error} (errors/{name}.txt has the traceback)"
    return ""


def _emap(of: Subject) -> None:
    cross(of.run, of.data, of.model, of.stage, batch_rows=of.batch_rows)


def _attribution(of: Subject) -> None:
    attribute(of.run, of.data, of.model, of.stage, of.source)


def _off_data(of: Subject) -> None:
    measure_off_data(of.run, of.data, of.source)


def _synergy(of: Subject) -> None:
    write_crossfit_of(of.run, of.data, of.stage)


_FILES = {"emap": CROSSED, "attribution": ATTRIBUTIONS, "off_data": OFF_DATA, "synergy": CROSSFIT}

_ANALYSES: dict[str, Callable[[Subject], Any]] = {
    "emap": _emap,
    "attribution": _attribution,
    "off_data": _off_data,
    "synergy": _synergy,
}

"""The report: values only. Reads and writes report.json, answers questions about it, and hands it to the renderer."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmaudit.budget import Budget
from mmaudit.errors import BadInput, DamagedRun
from mmaudit.estimates import Estimate
from mmaudit.folder import write_atomically
from mmaudit.formats import DASH, count, estimate, number, readable
from mmaudit.place import place
from mmaudit.report_schema import FIELDS, SCHEMA, TEXT_FIELDS, check
from mmaudit.types import LEVELS, Condition, Finding, Score

if TYPE_CHECKING:
    import pandas as pd

    from mmaudit.render.theme import Theme

# Adjusted p below which a change was found.
SURE = 0.05


@dataclass(frozen=True)
class Measured:
    """A condition and what was seen while it ran.

    Attributes:
        key: what scores, findings and examples call it; as written, even where this version would derive another.
        condition: what was done to every sample.
        n: samples measured.
        changed: share of samples that the probe changed, in [0, 1]; NaN where it was not recorded.
        moved: mean distance moved, in σ of the modality (text: share of characters edited); NaN likewise.
        raised: samples on which the model raised an error.
        error: first line of that error, or empty.
        received: digest of what the model received, 16 hex digits; empty where it was not recorded.
    """

    key: str
    condition: Condition
    n: int
    changed: float
    moved: float
    raised: int
    error: str
    received: str = ""


@dataclass(frozen=True)
class Metric:
    """A metric as the report shows it: registered name, direction of goodness, unit, one-line summary."""

    name: str
    better: str
    unit: str
    summary: str = ""


@dataclass(frozen=True)
class OutputScore:
    """A score of one label or target: its name, how many samples have the label (None in a regression), the score."""

    output: str
    positives: int | None
    score: Score


class Report:
    """Everything one audit found, without model, data set or run folder.

    Make one with `Report.read(path)`, from a `report.json` or a run folder, or with `Report.from_json(value)`.
    `document` holds the plain values as they are written; treat it as read-only.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document: dict[str, Any] = dict(document)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Report:
        """Return the report of parsed JSON.

        Raises:
            StaleRun: it was written by a newer mmaudit.
            DamagedRun: it does not have the form of `reports/report.schema.json`; names the first places.
        """
        try:
            plain = json.loads(json.dumps(value, allow_nan=False))
        except (TypeError, ValueError, RecursionError) as error:
            raise DamagedRun(f"the report holds a value JSON has no form for: {error}; write NaN as null.") from None
        check(plain)
        return cls(plain)

    @classmethod
    def read(cls, path: str | Path) -> Report:
        """Read `report.json`, given the file itself or the run folder that holds it.

        Raises:
            BadInput: there is no such file.
            DamagedRun: the file is not JSON or not a report.
            StaleRun: it was written by a newer mmaudit.
        """
        file = place(path)
        file = file / "report.json" if file.is_dir() else file
        if not file.is_file():
            raise BadInput(
                f"{file} does not exist; give a report.json or a run folder that holds one "
                "('mmaudit score RUN' writes it again from the predictions)."
            )
        try:
            value = json.loads(file.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise DamagedRun(
                f"{file} cannot be read as JSON: {error}. Write it again with 'mmaudit score RUN'."
            ) from None
        if not isinstance(value, dict):
            raise DamagedRun(f"{file} holds a {type(value).__name__}, expected a JSON object of form {SCHEMA}.")
        return cls.from_json(value)

    def to_json(self, path: str | Path) -> Path:
        """Write the report as JSON (UTF-8, `null` for undefined numbers) and return the path.

        The file appears whole or not at all; the same report gives the same bytes.
        """
        text = json.dumps(self.document, ensure_ascii=True, allow_nan=False, indent=1)
        return _write(place(path), text + "\n")

    def to_html(self, path: str | Path, *, budget: int | None = 3_000_000, theme: Theme | None = None) -> Path:
        """Write one self-contained HTML page (nothing fetched, complete without JavaScript) and return its path.

        The same report gives the same bytes.

        Args:
            path: the file; for a folder, `report.html` in it.
            budget: most bytes of the page; what does not fit is left out and named in it. None: no limit.
            theme: a house style, from `mmaudit.render.theme.read_theme(file)`.
        """
        from mmaudit.render import page
        from mmaudit.render.theme import PLAIN

        file = place(path)
        return _write(file / "report.html" if file.is_dir() else file, page(self, budget=budget, theme=theme or PLAIN))

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """What a reader should act on, worst first."""
        found = tuple(
            Finding(
                rule=f["rule"],
                level=f["level"],
                claim=f["claim"],
                modalities=tuple(f["modalities"]),
                evidence=tuple(f["evidence"]),
                reproduce=f["reproduce"],
                effect=float(f["effect"] or 0.0),
            )
            for f in self.document["findings"]
        )
        return tuple(sorted(found, key=lambda f: (LEVELS.index(f.level), -f.effect)))

    @property
    def scores(self) -> pd.DataFrame:
        """All scores: one row per (condition, metric, group), columns as in `Score`; NaN where undefined."""
        import pandas as pd

        table = self.document["scores"]
        frame = pd.DataFrame(table["rows"], columns=table["columns"])
        numeric = [c for c in frame.columns if c in FIELDS and c not in TEXT_FIELDS]
        frame[numeric] = frame[numeric].apply(pd.to_numeric)
        return frame

    @property
    def by_output(self) -> pd.DataFrame:
        """Scores of each label (multilabel), or of each target of a regression of several; NaN where undefined.

        One row per (condition, metric, output), of clean data and of every condition under which the primary metric
        surely falls; above 10,000 rows those that harm most. Columns as in `Score`, with `output`, the label's or
        target's name, in place of `group`, and `positives`, how many samples have the label (NaN in a regression).
        `p_adjusted` is over the rows of this table. Empty for other tasks, a single label or target, and runs that were
        scored before this existed.
        """
        import pandas as pd

        table = self.document.get("by_output") or {"columns": [], "rows": []}
        frame = pd.DataFrame(table["rows"], columns=table["columns"])
        numeric = [c for c in frame.columns if c == "positives" or (c in FIELDS and c not in TEXT_FIELDS)]
        frame[numeric] = frame[numeric].apply(pd.to_numeric)
        return frame

    @cached_property
    def outputs(self) -> tuple[OutputScore, ...]:
        """The rows of `by_output`, in the order of the report."""
        table = self.document.get("by_output") or {"columns": [], "rows": []}
        columns = table["columns"]
        known = [i for i, name in enumerate(columns) if name in FIELDS]
        found = []
        for row in table["rows"]:
            score = Score(**{columns[i]: _field(columns[i], row[i]) for i in known})
            positives = row[columns.index("positives")]
            found.append(
                OutputScore(row[columns.index("output")], None if positives is None else int(positives), score)
            )
        return tuple(found)

    @cached_property
    def conditions(self) -> tuple[Measured, ...]:
        """Every condition that was measured, the clean one included, in the order of the plan."""
        return tuple(
            Measured(
                c["key"],
                Condition.from_json(c),
                int(c["n"]),
                _real(c["changed"]),
                _real(c["moved"]),
                c["raised"],
                c["error"],
                c.get("received", ""),
            )
            for c in self.document["conditions"]
        )

    @cached_property
    def metrics(self) -> dict[str, Metric]:
        """The metrics by name, in the order of the report."""
        return {m["name"]: Metric(m["name"], m["better"], m["unit"], m["summary"]) for m in self.document["metrics"]}

    @property
    def primary(self) -> Metric:
        """The metric that headline, charts and order rest on."""
        return self.metrics[self.document["primary"]]

    @cached_property
    def clean(self) -> str:
        """Key of the unperturbed condition; empty where it was not measured."""
        return next((c["key"] for c in self.document["conditions"] if c["family"] == "clean"), "")

    @cached_property
    def rows(self) -> tuple[Score, ...]:
        """All scores as `Score`, in the order of the report."""
        columns = self.document["scores"]["columns"]
        known = [i for i, name in enumerate(columns) if name in FIELDS]
        return tuple(Score(**{columns[i]: _field(columns[i], row[i]) for i in known}) for row in self._table)

    @cached_property
    def estimates(self) -> tuple[Estimate, ...]:
        """Numbers about reliance and synergy, one for each entry of `document["estimates"]`, in that order."""
        found = []
        for entry in self.document.get("estimates", ()):
            score = self.score(entry["key"], entry["estimator"], entry["group"])
            gone = Score(entry["key"], entry["label"], entry["estimator"], reason="the report holds no value of it")
            found.append(Estimate.from_json(entry, score or gone))
        return tuple(found)

    def score(self, condition: str, metric: str, group: str = "", against: str | None = None) -> Score | None:
        """The score of a condition (by key), or None where it was not measured.

        `against` asks for the delta to that condition; left out, the delta to the clean condition is preferred.
        """
        found = self._index.get((condition, metric, group), [])
        wanted = (against,) if against is not None else (self.clean, "")
        for name in wanted:
            for score in found:
                if score.against == name:
                    return score
        return found[0] if found and against is None else None

    @property
    def _table(self) -> list[list[Any]]:
        rows: list[list[Any]] = self.document["scores"]["rows"]
        return rows

    @cached_property
    def _index(self) -> dict[tuple[str, str, str], list[Score]]:
        index: dict[tuple[str, str, str], list[Score]] = {}
        for score in self.rows:
            index.setdefault((score.condition, score.metric, score.group), []).append(score)
        return index

    def headline(self) -> str:
        """The primary metric of the clean condition with interval, and the chance floor, in words."""
        score = self.score(self.clean, self.primary.name)
        if score is None or not math.isfinite(score.value):
            why = score.reason if score is not None and score.reason else "it was not measured"
            return f"{readable(self.primary.name)} {DASH} ({why})"
        text = f"{readable(self.primary.name)} {estimate(score.value, score.low, score.high, score.unit)}"
        return text + (f", chance {number(score.floor, score.unit)}" if math.isfinite(score.floor) else "")

    def budget(self) -> str:
        """What a budget left unmeasured, in one sentence; empty where every condition has every sample."""
        held = self.document.get("budget") or {}
        if not held:
            return ""
        given = Budget(held["forwards"], held["seconds"]).said
        share = number(held["answers"] / max(held["planned"], 1), "share")
        return (
            f"Within {f'a budget of {given}' if given else 'an earlier budget'} {count(held['answers'])} of "
            f"{count(held['planned'])} answers ({share}) were measured: {count(held['partial'])} of "
            f"{count(len(self.conditions))} conditions rest on a part of the {count(self.document['data']['n'])} "
            f"samples, from {count(held['fewest'])} to {count(held['most'])} drawn at random, more where intervals "
            "were wider."
        )

    @property
    def unseen(self) -> str:
        """Classes and labels of which the data says nothing, in one sentence; empty where there are none."""
        return str(self.document["data"].get("unseen", ""))

    def level_counts(self) -> str:
        """Findings by level in words: `1 critical, 3 major`; `none` where no rule fired."""
        counts = [(sum(f.level == level for f in self.findings), level) for level in LEVELS]
        return ", ".join(f"{k} {level}" for k, level in counts if k) or "none"

    def idle_conditions(self) -> tuple[str, ...]:
        """One line per condition that changed no sample: it says nothing about the model, the others still do."""
        return tuple(c["message"] for c in self._unapplied if not c.get("left"))

    def partly_applied(self) -> tuple[str, ...]:
        """One line per condition of several modalities that left one of them as it was in every sample."""
        return tuple(c["message"] for c in self._unapplied if c.get("left"))

    @property
    def _unapplied(self) -> list[Mapping[str, Any]]:
        return [c for c in self.document["controls"] if not c["ok"] and c["control"] == "applied"]

    def faint_conditions(self) -> tuple[str, ...]:
        """Conditions, by label, in which no change was found and a loss of a tenth could have been missed.

        A tenth of what the model has above chance on clean data, which this many samples do not find with 80 % power;
        controls aside. A change that was found, after adjustment, was not missed.
        """
        scores = (self.score(m.key, self.primary.name) for m in self.conditions if m.condition.family != "control")
        known = (s for s in scores if s is not None and all(map(math.isfinite, (s.mde, s.floor, s.delta))))
        missed = (s for s in known if not s.p_adjusted < SURE)
        return tuple(s.label for s in missed if s.mde > 0.1 * abs(s.value - s.delta - s.floor))

    def failed_controls(self) -> tuple[str, ...]:
        """One line per control that failed; empty when the report can be trusted as far as its controls go."""
        failed = [c for c in self.document["controls"] if not c["ok"] and c["control"] != "applied"]
        names = [c["control"] if c["label"] in ("", c["control"]) else f"{c['control']}, {c['label']}" for c in failed]
        return tuple(f"{name}: {c['message']}" for name, c in zip(names, failed, strict=True))

    def __repr__(self) -> str:
        """Return a short summary: what was audited, the headline, findings by level, and how to open it."""
        document, failed = self.document, self.failed_controls()
        lines = [
            f"mmaudit report: {document['title']}",
            f"  {document['model']['name']}, {count(document['data']['n'])} samples, {len(self.conditions)} conditions",
            f"  clean {self.headline()}",
            f"  findings: {self.level_counts()}",
            *(f"    {f.level}: {f.claim}" for f in self.findings[:3]),
        ]
        lines += [f"  {line}" for line in (self.budget(), self.unseen) if line]
        if failed:
            lines.append(f"  CONTROLS FAILED, do not rely on this report: {'; '.join(failed)}")
        elif passed := sum(c["ok"] for c in document["controls"]):
            lines.append(f"  controls: all {passed} passed")
        lines += [f"  NOT APPLIED: {line}" for line in self.idle_conditions()]
        lines += [f"  APPLIED IN PART: {line}" for line in self.partly_applied()]
        return "\n".join([*lines, '  to open: report.to_html("report.html")'])

    def _repr_html_(self) -> str:
        """A compact summary for a notebook; styles scoped, readable on light and dark grounds."""
        from mmaudit.render import inline

        return inline(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Report) and self.document == other.document

    __hash__ = None  # type: ignore[assignment]  # holds mutable values


def _field(name: str, value: Any) -> Any:
    if name in TEXT_FIELDS:
        return value
    if name == "n":
        return int(value or 0)
    return _real(value)


def _real(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number; undefined numbers are written as null")


def _write(path: Path, text: str) -> Path:
    """Write a file so that a reader never sees half of it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"cannot write {path}: {error.strerror or error}; choose a folder you can write to.") from None
    write_atomically(path, text.encode("utf-8"))
    return path

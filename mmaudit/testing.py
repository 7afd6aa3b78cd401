"""Assertions about a model's robustness, for tests.

    from mmaudit.testing import assert_robust

    def test_survives_a_smudged_lens():
        assert_robust(model, data, probe="image.gaussian_blur", severity=3, max_drop=0.05)

In pytest the function is a fixture too, so that nothing need be imported. The numbers, and what decides, are those of
`mmaudit gate`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmaudit.data import Dataset
    from mmaudit.gate import Check, Policy, Verdict
    from mmaudit.gate.policy import Undecided
    from mmaudit.plan import Suite
    from mmaudit.preparing import Prepared
    from mmaudit.report import Report

__all__ = ["assert_robust"]

# Where a suite states the severities of probes that have no table of them; all others take `rates`.
_FIELDS = {
    "mismatch_share": "shares",
    "temporal_shift": "shifts",
    "stale_order": "lags",
}


def assert_robust(
    model: object,
    data: Dataset,
    probe: str = "image.gaussian_blur",
    severity: float = 3,
    max_drop: float = 0.05,
    *,
    metric: str = "primary",
    modalities: Sequence[str] | None = None,
    undecided: Undecided = "fail",
    train: Dataset | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> Verdict:
    """Audit a model under one probe, and raise `AssertionError` unless its metric drops by at most `max_drop`.

    The model is asked for its answers to clean data, to the controls (copied inputs must change nothing, destroyed ones
    must leave chance) and under the probe, in a temporary folder that is gone afterwards. The same model, data and
    arguments give the same answer.

    The upper end of the drop's 95 % interval must be at most `max_drop`; equal is enough. Where the interval lies
    beyond it altogether the model fails; where it only reaches beyond, the data are too few to say, which fails, too,
    unless `undecided="allow"`.

    Args:
        model: as for `mmaudit.audit`.
        data: as for `mmaudit.audit`.
        probe: a name of `mmaudit list probes`, or a family or pattern. Every condition of it must keep to the limit,
            in every modality that it applies to.
        severity: place 1 to 5 in the probe's table of severities; for probes with no table (`missing_rate`,
            `mismatch_share`, `temporal_shift`, …) the severity itself, in the probe's unit. Without meaning for probes
            that have no severity (`missing`, `mismatch`, `conflict`).
        max_drop: largest drop against clean data, in the metric's unit: 0.05 of a share is five percentage points.
        metric: a name of `mmaudit list metrics`; the task's primary one by default.
        modalities: only conditions that perturb exactly these; all without it.
        undecided: "fail" or "allow".
        train: the model's training data, for the means that stand-ins use.
        resamples: bootstrap replicates.
        seed: of the bootstrap.

    Returns:
        The verdict, with every number.

    Raises:
        AssertionError: the model is not robust, or that could not be decided, or a control failed. Says the drop with
            its interval, the number of samples, the limit, and what to run to see more.
        BadInput: an argument is out of range, or the probe does not apply to the data; says why.
        ContractBroken: the model fails a check of `mmaudit doctor`.
        UnknownName: no such probe or metric.
    """
    __tracebackhide__ = True
    from mmaudit.gate import judge_report
    from mmaudit.preparing import prepare

    _require_usable(max_drop, modalities, undecided)
    name = _metric(metric, data)
    suite = _suite(probe, severity)
    prepared = prepare(model, data, suite=suite, train=train)
    policy = _policy(prepared, suite, probe, modalities, name, float(max_drop), undecided)
    report = _report(prepared, name, resamples, seed)
    verdict = judge_report(report, policy)
    if not verdict.ok:
        raise AssertionError(_message(verdict, report, suite, probe))
    return verdict


def _require_usable(max_drop: float, modalities: Sequence[str] | None, undecided: str) -> None:
    from mmaudit.errors import BadInput

    if isinstance(max_drop, bool) or not isinstance(max_drop, int | float) or not 0 <= max_drop < float("inf"):
        raise BadInput(f"max_drop={max_drop!r} is not usable; give a number from 0 on, in the metric's unit.")
    if undecided not in ("fail", "allow"):
        raise BadInput(f"undecided={undecided!r} is not usable; give 'fail' or 'allow'.")
    if isinstance(modalities, str):
        raise BadInput(f"modalities={modalities!r} is not a list; write [{modalities!r}].")


def _metric(name: str, data: Dataset) -> str:
    from mmaudit.errors import BadInput
    from mmaudit.metrics import metrics
    from mmaudit.metrics.primary import PRIMARY

    found = metrics.get(PRIMARY[data.task.kind] if name == "primary" else name)
    if data.task.kind not in found.tasks:
        raise BadInput(f"metric {name!r} is for {' and '.join(found.tasks)}; the task is {data.task.said}.")
    return found.name


def _suite(probe: str, severity: float) -> Suite:
    """The conditions to run: one severity of each probe that is meant."""
    from mmaudit.errors import BadInput
    from mmaudit.plan import Suite
    from mmaudit.probes import probes

    chosen = probes.select(probe)
    if any(p.name == "temporal_shift_samples" for p in chosen):
        raise BadInput(
            "temporal_shift_samples takes steps of 1, 2, 4, … samples and no severity; declare the sequence's "
            "sample_rate and assert on temporal_shift, in ms."
        )
    tabled = [p for p in chosen if p.severities or p.family == "scenario"]
    if tabled and severity not in (1, 2, 3, 4, 5):
        table = ", ".join(format(s, "g") for s in tabled[0].severities)
        means = f" (they mean {table} {tabled[0].unit})" if table else ""
        raise BadInput(f"severity={severity!r} is no place in the table of {tabled[0].name}; give 1 to 5{means}.")
    given = {_FIELDS.get(p.name, "rates"): (severity,) for p in chosen if p.unit and p not in tabled}
    given |= {"positions": (int(severity),)} if tabled else {}
    return Suite(probes=tuple(p.name for p in chosen), **given)  # type: ignore[arg-type]  # by their names


def _policy(
    prepared: Prepared,
    suite: Suite,
    probe: str,
    modalities: Sequence[str] | None,
    metric: str,
    max_drop: float,
    undecided: Undecided,
) -> Policy:
    """The assertion as a policy, of the probes that apply; raises `BadInput` where none does."""
    from mmaudit.errors import BadInput
    from mmaudit.gate import Bound, Policy, Requirement

    asked = None if modalities is None else set(modalities)
    planned = [c for c in prepared.plan.conditions if c.probe in suite.probes]
    names = dict.fromkeys(c.probe for c in planned if asked in (None, set(c.modalities)))
    if not names:
        declined = dict.fromkeys(d.reason for d in prepared.plan.declined if d.probe in suite.probes)
        kinds = ", ".join(f"{m.name!r} ({m.kind})" for m in prepared.data.modalities)
        of = f" of exactly {', '.join(map(repr, modalities))}" if modalities is not None else ""
        raise BadInput(f"{probe} has no condition{of} here: {'; '.join(declined) or f'the modalities are {kinds}'}.")
    requirement = Requirement(
        f"robust to {probe}",
        (Bound("max_drop", max_drop),),
        metrics=(metric,),
        probes=tuple(names),
        modalities=None if modalities is None else tuple(modalities),
    )
    return Policy(f"assert_robust {probe}", (requirement,), undecided=undecided)


def _report(prepared: Prepared, metric: str, resamples: int, seed: int) -> Report:
    """Ask the model and score its answers; findings and pages are not made, as nobody would see them."""
    from mmaudit.assemble import report_json
    from mmaudit.predict import predict
    from mmaudit.report import Report
    from mmaudit.score import evidence, score

    with tempfile.TemporaryDirectory(prefix="mmaudit-") as folder:
        run = prepared.open_run(f"{folder}/run", batch_rows=None, title=None, command="", keep_samples=0)
        rows = int(run.header["batch_rows"])
        predict(run, prepared.data, prepared.model, prepared.source, stage=prepared.stage, batch_rows=rows)
        score(run, only=[metric], resamples=resamples, seed=seed)
        return Report.from_json(report_json(run, evidence(run), []))


def _message(verdict: Verdict, report: Report, suite: Suite, probe: str) -> str:
    """What a failed assertion says: each number beside the limit, and how to look further."""
    stopped = [c for judged in verdict.judged for c in judged.checks if judged.stops(c)]
    failed = any(c.outcome == "fail" for c in stopped)
    said = "is not robust" if failed else "is not shown to be robust"
    lines = [f"model {report.document['model']['name']!r} {said} to {probe}:"]
    lines += [f"  {c.outcome}: {_line(c, report)}" for c in stopped]
    lines.append("The whole 95 % interval of the drop must keep to the limit.")
    if not failed:
        lines.append("Give more samples, or undecided='allow' to let pass what these cannot decide.")
    own = {f.name: getattr(suite, f.name) for f in fields(suite) if getattr(suite, f.name) != f.default}
    inside = ", ".join(f"{name}={value!r}" for name, value in own.items())
    lines.append(f'To see more: mmaudit.audit(model, data, out="runs/look", suite=mmaudit.Suite({inside}))')
    return "\n".join(lines)


def _line(check: Check, report: Report) -> str:
    """A check, with the two values behind a drop."""
    from mmaudit.formats import estimate

    if check.kind != "drop":
        return check.sentence
    both = {"clean": report.clean, "here": check.condition}
    scores = {name: report.score(key, check.metric) for name, key in both.items()}
    values = [f"{name} {estimate(s.value, s.low, s.high, s.unit)}" for name, s in scores.items() if s is not None]
    return f"{check.sentence} ({', '.join(values)}, n = {check.n})"

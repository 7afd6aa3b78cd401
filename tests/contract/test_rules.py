"""Every registered rule: what it declares, and that what it finds in real audits can be read, traced and shown again.

A rule added to the registry is tested here without a new test file, once a world of tests/theory raises it.
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from mmaudit import audit
from mmaudit.cli import app
from mmaudit.errors import ContractBroken
from mmaudit.findings import Evidence, rule, rules
from mmaudit.findings.base import MOST_PER_RULE
from mmaudit.types import LEVELS, Finding
from theory.known_truth import Gaussian, Linear, gaussian
from theory.rates import Audited, audited
from theory.scenarios import SCENARIOS

LONGEST = 700
# One world each that raises it; the others of the registry are raised on the way.
WORLDS = (
    *("only_a", "loses_lock", "fragile", "b_hurts", "zero_is_extreme", "sure_of_contradictions"),
    *("overconfident_without_b", "no_better_than_chance", "leaks", "raises_on_zero", "group_left_behind"),
    *("regression_hurts", "labels", "silent_labels", "unequal_conflict"),
)
# Raised by hand in tests/test_findings_told.py: no world has so few samples, or a probe that changes nothing. Those
# about synergy need analyses, which these worlds leave out: tests/test_findings_synergy.py and `mmaudit selftest`.
# Those about reference methods need some that were trained: tests/test_findings_reference.py.
ELSEWHERE = {
    *("too_few_samples", "probe_without_effect", "synergy_unused", "weak_on_synergy", "reliance_disagrees"),
    *("reference_would_help", "no_reference_helps", "reference_not_trained"),
}


@pytest.fixture(scope="module")
def worlds() -> list[Audited]:
    return [audited(name, 2) for name in WORLDS]


@pytest.fixture(scope="module")
def findings(worlds: list[Audited]) -> list[tuple[Evidence, Finding]]:
    return [(w.evidence, f) for w in worlds for f in w.findings]


@pytest.mark.parametrize("name", rules.names())
def test_declares_what_it_is(name: str) -> None:
    found = rules.get(name)
    assert found.level in LEVELS
    assert re.fullmatch(r"[a-z][a-z_]+", name)
    assert found.summary.endswith(".")
    assert len(found.summary) <= 120
    assert set(found.implied_by) <= set(rules.names()) - {name}


def test_the_required_rules_are_there() -> None:
    required = {
        *("ignored_modality", "single_point_of_failure", "silent_failure", "overconfident_subset", "cliff"),
        *("non_monotone_subset", "baseline_dependent", "below_chance", "mismatch_not_noticed", "control_failed"),
        "model_raised",
    }
    assert required <= set(rules.names())


def test_every_rule_is_raised_by_a_known_world(findings: list[tuple[Evidence, Finding]]) -> None:
    raised, known = {f.rule for _, f in findings}, set(rules.names())
    silent = known - raised - ELSEWHERE
    assert not silent, f"no world of WORLDS raises {silent}: plant it in tests/theory/scenarios.py, or see ELSEWHERE"
    assert raised | ELSEWHERE == known
    assert set(WORLDS) <= set(SCENARIOS)


def test_claims_read_as_sentences(findings: list[tuple[Evidence, Finding]]) -> None:
    for _, found in findings:
        claim = found.claim
        assert claim[0].isupper(), claim
        assert claim.endswith("."), claim
        assert not re.search(r"\b(nan|None|inf)\b|—|\.\.|  |_|\{|\}", claim), claim
        assert len(claim) <= LONGEST, claim
        # Words and not codes: no label, no registered name.
        assert "baseline=" not in claim, claim
        assert "pool=" not in claim, claim


def test_numbers_come_with_their_interval_unless_they_count(findings: list[tuple[Evidence, Finding]]) -> None:
    for _, found in findings:
        if found.rule not in ("model_raised", "silent_failure"):  # counts; labels state a bound
            assert "95\u00a0% interval" in found.claim or "everything it has above chance" in found.claim, found.claim


def test_levels_and_effects(findings: list[tuple[Evidence, Finding]]) -> None:
    for _, found in findings:
        assert found.level in LEVELS
        assert 0 <= found.effect <= 1


def test_evidence_is_in_the_scores(findings: list[tuple[Evidence, Finding]]) -> None:
    for evidence, found in findings:
        assert found.evidence, found.rule
        known = {(s.condition, s.metric, s.group, s.against) for s in evidence.scores}
        for row in found.evidence:
            traced = (row["condition"], row["metric"], row["group"], row["against"])
            assert traced in known or found.rule == "model_raised", (found.rule, traced)
            json.dumps(dict(row), allow_nan=False)


def test_what_it_is_about_exists(findings: list[tuple[Evidence, Finding]]) -> None:
    for evidence, found in findings:
        assert set(found.modalities) <= set(evidence.modalities)
        assert len(set(found.modalities)) == len(found.modalities)


def test_findings_of_a_report_have_different_ids(worlds: list[Audited]) -> None:
    for world in worlds:
        ids = [f.id for f in world.findings]
        assert len(set(ids)) == len(ids), world.scenario


def test_the_same_scores_give_the_same_findings(worlds: list[Audited]) -> None:
    again = audited(worlds[0].scenario, worlds[0].seed)
    assert again.findings == worlds[0].findings


def test_commands_name_a_condition_and_metrics_of_the_run(findings: list[tuple[Evidence, Finding]]) -> None:
    for evidence, found in findings:
        program, verb, folder, *options = shlex.split(found.reproduce)
        assert (program, verb, folder) == ("mmaudit", "score", evidence.folder)
        pairs = list(zip(options[::2], options[1::2], strict=True))
        assert 1 <= [o for o, _ in pairs].count("--condition") <= MOST_PER_RULE
        labels = {c.label for c in evidence.conditions}
        metrics = {s.metric for s in evidence.scores}
        groups = {s.group for s in evidence.scores}
        for option, value in pairs:
            assert value in {"--condition": labels, "--metric": metrics, "--group": groups}[option]


def odd_world() -> Gaussian:
    """A model with a harmful modality, whose modalities have names that shells, HTML and sentences trip over."""
    world = gaussian([1.5, 0.8])
    names = ('left eye, "raw" <b>', "O2 & 100 % 'sat' of a very long name that goes on and on for ever")
    models = {
        tuple(names["ab".index(x)] for x in present): Linear(m.weights * [1, -1]) for present, m in world.models.items()
    }
    return replace(world, names=names, models=models)


@pytest.fixture(scope="module")
def odd_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "odd"
    world = odd_world()
    data = world.data(600, np.random.default_rng(0))
    audit(world.model(), data, out=out, suite=["missing", "mismatch"], resamples=200)
    return out


def test_the_command_shows_the_evidence_again(odd_run: Path) -> None:
    findings = json.loads((odd_run / "findings.json").read_text(encoding="utf-8"))
    assert {"non_monotone_subset", "below_chance"} <= {f["rule"] for f in findings}
    for found in findings:
        _, *arguments = shlex.split(found["reproduce"])
        result = CliRunner().invoke(app, [*arguments, "--json"])
        assert result.exit_code == 0, result.output
        rows = json.loads(result.stdout)
        shown = {(r["condition"], r["metric"], r["against"], r["value"], r["low"]) for r in rows}
        asked = [word for option, word in pairwise(arguments) if option == "--condition"]
        cited = [e for e in found["evidence"] if e["label"] in asked]
        assert found["evidence"][0] in cited
        assert {(e["condition"], e["metric"], e["against"], e["value"], e["low"]) for e in cited} <= shown
        assert {r["label"] for r in rows} == set(asked)


def test_long_names_are_shortened_in_sentences_only(odd_run: Path) -> None:
    findings = json.loads((odd_run / "findings.json").read_text(encoding="utf-8"))
    longest = odd_world().names[1]
    about = [f for f in findings if longest in f["modalities"]]
    assert about
    assert all(longest not in f["claim"] and "…" in f["claim"] for f in about)


def test_a_rule_must_say_what_it_looks_for() -> None:
    with pytest.raises(ContractBroken, match="docstring"):
        rule("silent", level="major")(lambda evidence: ())

    def loud(evidence: Evidence) -> tuple[()]:
        """Nothing."""
        return ()

    with pytest.raises(ContractBroken, match="critical, major, minor, info"):
        rule("loud", level="grave")(loud)  # type: ignore[arg-type]
    with pytest.raises(ContractBroken, match="already registered"):
        rule("cliff", level="major")(loud)

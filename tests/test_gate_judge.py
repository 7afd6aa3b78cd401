"""A report beside a policy: boundaries, directions, what is missing, undefined or unsound, findings and controls."""

from __future__ import annotations

import math
from typing import Any

import pytest

from helpers.gate_reports import BLUR, changed, document, judged
from mmaudit.gate import judge_report, policy_from
from mmaudit.report import Report
from mmaudit.types import Finding

CLEAN = 'condition = "clean"\n'
AT = f'condition = "{BLUR}"\n'


def step(x: float, towards: float) -> float:
    return math.nextafter(x, towards)


# ---- boundaries


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [
        (0.9, 0.99, "pass"),
        (step(0.9, 0), 0.99, "undecided"),
        (step(0.9, 1), 0.99, "pass"),
        (0.8, 0.9, "undecided"),
        (0.8, step(0.9, 1), "undecided"),
        (0.8, step(0.9, 0), "fail"),
    ],
)
def test_a_value_at_its_limit(low: float, high: float, outcome: str) -> None:
    value = changed("clean", value=0.9, low=low, high=high)
    assert judged(CLEAN + "min = 0.9", value).outcome == outcome
    # An error rate is the mirror image.
    value = changed("clean", "ece", value=0.1, low=-high, high=-low)
    assert judged(CLEAN + 'metric = "ece"\nmax = -0.9', value).outcome == outcome


@pytest.mark.parametrize("better", ["higher", "lower"])
@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [
        (-0.2, 0.25, "pass"),
        (-0.2, 0.25 + 4e-16, "pass"),
        (-0.2, 0.25 + 5e-15, "undecided"),
        (0.25, 0.4, "undecided"),
        (0.25 + 5e-15, 0.4, "fail"),
    ],
)
def test_a_drop_at_its_limit_in_both_directions_of_goodness(better: str, low: float, high: float, outcome: str) -> None:
    deltas = (-high, -low) if better == "higher" else (low, high)
    value = changed(value=0.7, delta=-0.1, delta_low=deltas[0], delta_high=deltas[1], better=better)
    assert judged(AT + "max_drop = 0.25", value).outcome == outcome


def test_an_improvement_is_no_drop() -> None:
    for better, sign in (("higher", 1), ("lower", -1)):
        ends = sorted((sign * 0.1, sign * 0.3))
        value = changed(delta=sign * 0.2, delta_low=ends[0], delta_high=ends[1], better=better)
        assert judged(AT + "max_drop = 0", value).outcome == "pass"


@pytest.mark.parametrize(("end", "outcome"), [(0.1, "pass"), (step(0.1, 0), "pass"), (step(0.1, 1), "undecided")])
def test_a_share_lost_at_its_limit(end: float, outcome: str) -> None:
    value = changed(lost=0.05, lost_low=0.01, lost_high=end)
    assert judged(AT + "max_lost = 0.1", value).outcome == outcome


@pytest.mark.parametrize(("low", "outcome"), [(0.2, "pass"), (step(0.2, 1), "pass"), (step(0.2, 0), "undecided")])
def test_an_estimate_at_its_limit(low: float, outcome: str) -> None:
    text = 'estimate = "shapley_value"\nmodalities = ["image"]\noptions = {baseline = "zero"}\nmin = 0.2'
    assert judged(text, with_estimate(low=low)).outcome == outcome


def test_the_point_value_never_decides() -> None:
    value = changed("clean", value=0.95, low=0.85, high=0.99)
    found = judged(CLEAN + "min = 0.9", value)
    assert found.outcome == "undecided"
    assert "times as many samples" in found.checks[0].sentence
    value = changed("clean", value=0.85, low=0.8, high=0.95)
    assert "times as many samples" not in judged(CLEAN + "min = 0.9", value).checks[0].sentence


def test_the_bound_of_what_was_never_seen_falls_with_the_number_of_samples() -> None:
    """Of 100 samples none changed: 1 − 0.025^(1/n) is 0.0362, and 0.0096 with 3.8 times as many."""
    value = changed(value=0.9, delta=0.0, delta_low=-0.0362, delta_high=0.0362)
    assert "about 3.6 times as many samples" in judged(AT + "max_drop = 0.01", value).checks[0].sentence
    value = changed(value=0.9, delta=-0.004, delta_low=-0.04, delta_high=0.03)
    assert "about 36 times as many samples" in judged(AT + "max_drop = 0.01", value).checks[0].sentence


def test_numbers_are_shown_so_that_they_differ_from_the_limit() -> None:
    found = judged(CLEAN + "min = 0.9", changed("clean", value=0.95, low=0.89999, high=0.99))
    assert "[89.999," in found.checks[0].sentence


def test_all_limits_and_all_conditions_must_hold() -> None:
    value = changed(delta=-0.5, delta_low=-0.6, delta_high=-0.4)
    found = judged('probe = "image.gaussian_blur"\nmax_drop = 0.3\nmin = 0', value)
    assert len(found.checks) == 10
    assert [c.about for c in found.checks if c.outcome == "fail" and c.kind == "drop"] == [BLUR]
    assert found.outcome == "fail"


def test_an_open_end_of_an_interval() -> None:
    value = changed("clean", value=0.95, low=0.92, high=None)
    assert judged(CLEAN + "min = 0.9", value).outcome == "pass"
    value = changed("clean", value=0.95, low=0.88, high=None)
    assert judged(CLEAN + "min = 0.9", value).outcome == "undecided"
    value = changed("clean", "ece", value=0.05, low=0.02, high=None)
    found = judged(CLEAN + 'metric = "ece"\nmax = 0.1', value)
    assert (found.outcome, "no end on that side" in found.checks[0].sentence) == ("undecided", True)


# ---- undecided


@pytest.mark.parametrize(
    ("head", "own", "ok"),
    [
        ("", "", False),
        ('undecided = "allow"', "", True),
        ('undecided = "allow"', 'undecided = "fail"', False),
        ("", 'undecided = "allow"', True),
    ],
)
def test_undecided_fails_unless_the_policy_lets_it_through(head: str, own: str, ok: bool) -> None:
    value = changed("clean", value=0.95, low=0.85, high=0.99)
    found = judged(f"{CLEAN}{own}\nmin = 0.9", value, head)
    assert (found.outcome, found.ok) == ("undecided", ok)
    assert found.stops(found.checks[0]) is not ok


@pytest.mark.parametrize("text", [CLEAN + "min = 1", 'condition = "claen"\nmin = 0.5'])
def test_what_fails_or_is_missing_is_never_allowed(text: str) -> None:
    value = changed("clean", value=0.95, low=0.85, high=0.99)
    assert not judged(text, value, 'undecided = "allow"').ok


# ---- what is missing, undefined or unsound


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('condition = "claen"\nmin = 0', "did you mean 'clean'"),
        ('condition = ["clean", "nothing*"]\nmin = 0', "'nothing*'"),
        ('probe = "image.gausian_blur"\nmax_drop = 1', "did you mean 'image.gaussian_blur'"),
        ('probe = "embedding.gaussian_noise"\nmax_drop = 1', "declined: question is text"),
        ('family = "corruptions"\nmax_drop = 1', "did you mean 'corruption'"),
        ('probe = "missing_rate"\npositions = [1]\nmax_drop = 1', "positions = [1]"),
        ('probe = "missing"\nmodalities = ["sound"]\nmax_drop = 1', "modalities = 'sound'"),
        ('probe = "missing"\noptions = {baseline = "none"}\nmax_drop = 1', "baseline = 'none'"),
        ('probe = "missing_rate"\nseverity_from = 0.95\nmax_drop = 1', "severity from 0.95"),
        (CLEAN + 'metric = "acuracy"\nmin = 0', "did you mean 'accuracy'"),
        (CLEAN + 'group = "anwser"\nmin = 0', "no group 'anwser'; did you mean 'answer'"),
        (CLEAN + 'group = "answer=shapes"\nmin = 0', "did you mean 'answer=shape'"),
        (CLEAN + 'group = "answer"\nsmallest_group = 99999\nmin = 0', "every group has fewer than 99999"),
        (CLEAN + 'metric = "ece"\ngroup = "answer=shape"\nmax = 1', "not measured for this group"),
        ('estimate = "shaply_value"\nmin = 0', "no estimate 'shaply_value'"),
        (CLEAN + "max_drop = 0.1", "clean data is what is compared with"),
        (CLEAN + "max_lost = 0.1", "clean data is what is compared with"),
        (AT + 'metric = "mean_confidence"\nmax_drop = 0.1', "no direction of it is good"),
        (AT + 'metric = "mean_confidence"\nmax_lost = 0.1', "no direction of it is good"),
        (CLEAN + "max = 0.9", "give min, or both"),
        (CLEAN + 'metric = "ece"\nmin = 0.9', "give max, or both"),
        (CLEAN + "min = 90", "for 5 % write 0.05"),
        (AT + "max_drop = 5", "for 5 % write 0.05"),
        (
            'condition = "all corruptions"\nmetric = "relative_robustness"\nprobe = "image.*"\nmin = 0',
            "by condition alone",
        ),
        ('condition = "all coruptions"\nmetric = "relative_robustness"\nmin = 0', "did you mean 'all corruptions'"),
    ],
)
def test_what_cannot_be_checked_fails_with_the_reason(text: str, says: str) -> None:
    found = judged(text)
    assert found.outcome == "fail"
    failing = [c for c in found.checks if c.outcome == "fail"]
    assert any(says in c.sentence for c in failing), [c.sentence for c in failing]
    assert all(c.reason for c in failing)


@pytest.mark.parametrize(
    ("fields", "text", "says"),
    [
        ({"value": None, "low": None, "high": None, "reason": "one class only"}, "min = 0", "one class only"),
        ({"low": None, "high": None}, "min = 0", "no interval to decide by"),
        ({"value": None, "low": None, "high": None}, "min = 0", "not defined"),
        ({"delta": None, "delta_low": None, "delta_high": None}, "max_drop = 1", "is not defined"),
        ({"lost": None, "lost_low": None, "lost_high": None}, "max_lost = 1", "not above chance"),
        ({"lost": None, "lost_low": None, "lost_high": None, "floor": None}, "max_lost = 1", "no chance level"),
    ],
)
def test_an_undefined_number_fails_with_its_reason(fields: dict[str, Any], text: str, says: str) -> None:
    found = judged(AT + text, changed(**fields), 'undecided = "allow"')
    assert found.outcome == "fail"
    assert says in found.checks[0].sentence


def test_a_severity_that_was_not_measured_fails() -> None:
    value = document()
    value["conditions"] = [c for c in value["conditions"] if c["label"] != BLUR]
    text = 'probe = "image.gaussian_blur"\nmax_drop = 1'
    assert judged(text, value).outcome == "pass"
    found = judged(text + "\npositions = [2, 3]", value)
    assert found.outcome == "fail"
    assert "image.gaussian_blur[image] was not measured at position 3" in found.checks[0].sentence
    assert [c.about for c in found.checks[1:]] == ["image.gaussian_blur[image]@2"]


def test_a_condition_under_which_the_model_raised_fails_unless_let_be() -> None:
    value = document()
    condition = next(c for c in value["conditions"] if c["label"] == BLUR)
    condition.update(raised=3, error="ValueError: too dark")
    found = judged(AT + "max_drop = 1", value)
    assert found.outcome == "fail"
    assert "raised an error on 3 samples" in found.checks[0].sentence
    assert "too dark" in found.checks[0].sentence
    assert judged(AT + "max_drop = 1", value, 'errors = "ignore"').outcome == "pass"


def test_a_probe_that_changed_nothing_shows_nothing() -> None:
    value = document()
    next(c for c in value["conditions"] if c["label"] == BLUR)["changed"] = 0.0
    found = judged(AT + "max_drop = 1", value)
    assert (found.outcome, "changed no sample" in found.checks[0].sentence) == ("fail", True)
    assert judged(CLEAN + "min = 0").outcome == "pass"


# ---- groups, summaries, estimates


def test_every_value_of_a_column_is_checked_and_small_groups_are_named() -> None:
    found = judged(CLEAN + 'group = "answer"\nmin = 0.1')
    assert {c.group for c in found.checks} == {"answer=yes/no", "answer=shape", "answer=colour"}
    value = document()
    value["data"] = {**value["data"], "groups": {"answer": {"yes/no": 3000, "shape": 3000, "colour": 12}}}
    found = judged(CLEAN + 'group = "answer"\nsmallest_group = 30\nmin = 0.1', value)
    assert {c.group for c in found.checks} == {"answer=yes/no", "answer=shape"}
    assert found.left_out == ("answer=colour (12 samples)",)


def test_a_summary_over_a_family() -> None:
    text = 'condition = "all corruptions"\nmetric = "relative_robustness"\n'
    found = judged(text + "min = 0.7")
    assert (found.outcome, len(found.checks)) == ("pass", 1)
    assert "over all corruptions" in found.checks[0].sentence
    assert judged(text + "min = 0.71").outcome == "undecided"
    assert judged(text + "min = 0.99").outcome == "fail"
    assert "by condition alone" in judged('probe = "image.*"\nmetric = "severity_auc"\nmin = 0').checks[0].sentence
    assert len(judged('condition = "image.*"\nmetric = "severity_auc"\nmin = 0').checks) > 1


def with_estimate(**values: Any) -> dict[str, Any]:
    value = document()
    entry = {
        "key": "0123456789abcdef",
        "label": "shapley_value[image, baseline=zero]",
        "estimator": "shapley_value",
        "family": "reliance",
        "modalities": ["image"],
        "options": {"baseline": "zero"},
        "group": "",
    }
    fields: dict[str, Any] = dict.fromkeys(value["scores"]["columns"])
    fields |= {"condition": entry["key"], "label": entry["label"], "metric": "shapley_value", "group": ""}
    fields |= {"against": "", "n": 100, "value": 0.3, "low": 0.25, "high": 0.35, "unit": "share"}
    fields |= {"better": "neither", "reason": "", **values}
    value["estimates"] = [entry]
    value["scores"]["rows"].append(list(fields.values()))
    return value


def test_estimates_are_found_by_modalities_and_options_and_are_no_metrics() -> None:
    text = 'estimate = "shapley_value"\n'
    assert judged(text + 'modalities = ["image"]\nmin = 0.2', with_estimate()).outcome == "pass"
    assert judged(text + "min = 0.3", with_estimate()).outcome == "undecided"
    for more in ('modalities = ["question"]', 'options = {baseline = "mean"}', "modalities = []"):
        found = judged(f"{text}{more}\nmin = 0.2", with_estimate())
        assert (found.outcome, "there are shapley_value[image" in found.checks[0].sentence) == ("fail", True)
    gone = with_estimate(value=None, low=None, high=None, reason="a subset is lacking")
    assert "a subset is lacking" in judged(text + "min = 0", gone).checks[0].sentence
    assert judged(CLEAN + 'metric = "shapley_value"\nmin = 0', with_estimate()).outcome == "fail"


# ---- findings and controls


def whole(text: str, value: dict[str, Any] | None = None) -> dict[str, Any]:
    verdict = judge_report(Report(value or document()), policy_from(text, "p.toml"))
    return {j.name: j for j in verdict.judged}


def test_findings_above_the_allowed_level_fail_unless_accepted() -> None:
    value = document()
    found = [f for f in Report(value).findings if f.level in ("critical", "major")]
    assert found
    strict = whole('[findings]\nmax_level = "minor"', value)["findings"]
    assert [c.outcome for c in strict.checks] == ["fail"] * len(found)
    rules = sorted({f.rule for f in found})
    accepted = whole(f'[findings]\nmax_level = "minor"\naccept = {rules}', value)["findings"]
    assert accepted.outcome == "pass"
    assert f"{len(found)} that the policy accepts" in accepted.checks[0].sentence
    first: Finding = found[0]
    one = whole(f'[findings]\nmax_level = "minor"\naccept = "{first.id}"', value)["findings"]
    assert len(one.checks) == max(len(found) - 1, 1)
    assert whole('[findings]\nmax_level = "none"', value)["findings"].outcome == "fail"
    value["findings"] = []
    assert whole('[findings]\nmax_level = "none"', value)["findings"].outcome == "pass"


def test_a_failed_control_shuts_the_gate_unless_ignored() -> None:
    text = '[findings]\nmax_level = "major"\naccept = "x"'
    value = document()
    assert whole(text, value)["controls"].outcome == "pass"
    value["controls"][1]["ok"] = False
    controls = whole(text, value)["controls"]
    assert [c.outcome for c in controls.checks] == ["pass", "fail"]
    assert "controls" not in whole('controls = "ignore"\n' + text, value)
    value["controls"] = []
    assert whole(text, value)["controls"].outcome == "fail"


def test_the_verdict_is_the_worst_and_says_everything_as_json() -> None:
    policy = policy_from(
        '[[require]]\nname = "a"\ncondition = "clean"\nmin = 0.1\n'
        '[[require]]\nname = "b"\ncondition = "claen"\nmin = 0.1\n',
        "p.toml",
    )
    verdict = judge_report(Report(document()), policy, folder="runs/x")
    assert (verdict.ok, verdict.outcome, verdict.counts()) == (False, "fail", {"pass": 2, "undecided": 0, "fail": 1})
    plain = verdict.to_json()
    assert plain["schema"] == "mmaudit.gate/1"
    assert [r["outcome"] for r in plain["requirements"]] == ["pass", "fail", "pass"]
    assert plain["requirements"][0]["checks"][0]["limit"] == 0.1
    assert plain["requirements"][1]["checks"][0]["value"] is None
    assert plain["run"]["folder"] == "runs/x"

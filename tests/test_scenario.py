"""Scenarios: one latent severity for several modalities, from TOML to a run."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.probe_samples import everything, same, source_of, whole
from helpers.run_cases import Rowwise, dataset
from mmaudit import Report, Run, audit, options
from mmaudit.data import ArrayData, subset
from mmaudit.errors import BadInput, StaleRun, UnknownName
from mmaudit.figures.severity import scenario_curves, severity_curves
from mmaudit.kernels.chrf import chrf
from mmaudit.plan import Plan, Suite, make_plan
from mmaudit.probes import Scope, probes
from mmaudit.probes.proof import moved
from mmaudit.probes.scenario import FACTORS, load, packaged
from mmaudit.probes.scenario_file import read
from mmaudit.types import Batch, Condition, FloatArray, Modality

STEPS = """
[[step]]
kind = "tabular"
probe = "gaussian_noise_convex"

[[step]]
kind = "text"
probe = "keyboard"
"""
Write = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path) -> Iterator[Write]:
    """Write a scenario file; what it registers is taken back."""
    before = set(probes.names())

    def make(head: str = "", steps: str = STEPS, name: str = "spilled_coffee", file: str = "mine.toml") -> str:
        path = tmp_path / file
        path.write_text(f'name = "{name}"\nsummary = "Coffee over the form"\n{head}\n{steps}', encoding="utf-8")
        return str(path)

    yield make
    for name in set(probes.names()) - before:
        probes._items.pop(name)


def planned(data: ArrayData, *files: str, **fields: Any) -> Plan:
    return make_plan(Suite(probes=("control",), scenarios=files, **fields), data.modalities, data.task)


def scenarios(plan: Plan) -> list[Condition]:
    return [c for c in plan.conditions if c.family == "scenario"]


def distances(data: ArrayData, condition: Condition) -> dict[str, FloatArray]:
    source, batch = source_of(data), whole(data)
    new = probes.get(condition.probe).apply(batch, condition, source)
    return {
        m: moved(batch.inputs[m], new.inputs[m], source.modality(m), source.statistics[m])[1].astype(float)
        for m in condition.modalities
    }


# ---- the packaged ones


@pytest.mark.parametrize("name", sorted(packaged()))
def test_every_packaged_scenario_grows_with_severity(name: str) -> None:
    data = everything()
    scope = Scope(data.modalities, data.task)
    found = [c for c in probes.get(f"scenario.{name}").grid(scope) if isinstance(c, Condition)]
    assert {c.option("latent") for c in found} == {"shared", "independent"}
    kinds = {m.kind for m in data.modalities if m.name in found[0].modalities}
    assert kinds == set(packaged()[name].kinds)
    for latent in ("shared", "independent"):
        curve = [c for c in found if c.option("latent") == latent]
        assert [(c.position, c.severity, c.unit) for c in curve] == [(i, i, "scenario severity") for i in range(1, 6)]
        far = [np.nansum([np.nanmean(d) for d in distances(data, c).values()]) for c in curve]
        assert all(a < b for a, b in itertools.pairwise(far)), far
        each = [distances(data, curve[i]) for i in (0, 4)]
        assert all(np.nanmean(each[1][m]) > np.nanmean(each[0][m]) > 0 for m in curve[0].modalities)


def test_packaged_scenarios_say_what_and_why_and_have_their_files_names() -> None:
    assert {"rainy_night_call", "bad_scan", "stale_record", "noisy_sensor_storm", "cheap_video_call"} < set(packaged())
    for name, scenario in packaged().items():
        assert len(scenario.summary) > 30
        assert len(scenario.why) > 30
        assert len(scenario.kinds) >= 2
        probe = probes.get(f"scenario.{name}")
        assert (probe.family, probe.summary, probe.source) == ("scenario", scenario.summary, "mmaudit")


# ---- what a severity means


def test_without_spread_a_scenario_is_its_corruptions_at_the_same_position(write: Write) -> None:
    data = dataset(n=40)
    source, batch = source_of(data), whole(data)
    plan = planned(data, write())
    assert [c.option("latent") for c in scenarios(plan)] == ["shared"] * 5, "nothing to be independent of"
    for condition in scenarios(plan):
        both = probes.get(condition.probe).apply(batch, condition, source)
        for full, name in (("tabular.gaussian_noise_convex", "table"), ("text.keyboard", "note")):
            plain = next(
                c
                for c in probes.get(full).grid(Scope(data.modalities, data.task))
                if isinstance(c, Condition) and c.position == condition.position
            )
            assert same(both.inputs[name], probes.get(full).apply(batch, plain, source).inputs[name])


def test_between_positions_severities_are_interpolated_and_repeats_differ(write: Write) -> None:
    steps = STEPS.replace('"keyboard"', '"keyboard"\npositions = [0.5, 1, 2.5, 3, 5]')
    scenario = read(Path(write(steps=steps)))
    table = probes.get("text.keyboard").severities
    step = scenario.steps[1]
    assert step.severity(1) == pytest.approx(table[0] / 2)
    assert step.severity(0.5) == pytest.approx(table[0] / 4)
    assert step.severity(3) == pytest.approx((table[1] + table[2]) / 2)
    assert step.severity(5) == table[4]
    data = dataset(n=40)
    again = [c for c in scenarios(planned(data, write(), repeats=2)) if c.position == 3]
    assert [c.repeat for c in again] == [0, 1]
    batch, source = whole(data), source_of(data)
    a, b = (probes.get(c.probe).apply(batch, c, source).inputs["table"] for c in again)
    assert not same(a, b)


def test_a_shared_severity_hits_the_same_samples_in_every_modality(write: Write) -> None:
    data = everything(n=400, only=("hwc", "table"))
    steps = STEPS.replace('"text"', '"image"').replace('"keyboard"', '"gaussian_noise"')
    found = scenarios(planned(data, write("spread = 0.9", steps=steps), positions=(5,)))
    together, apart = (dict(distances(data, c).items()) for c in found)
    present = ~np.isnan(together["hwc"]) & ~np.isnan(together["table"])
    present &= (together["hwc"] > 0) & (together["table"] > 0)
    assert np.corrcoef(together["hwc"][present], together["table"][present])[0, 1] > 0.5
    assert abs(np.corrcoef(apart["hwc"][present], apart["table"][present])[0, 1]) < 0.2
    # The same distribution in each modality: the first meets the very same severities, the other as many of each.
    assert np.array_equal(together["hwc"], apart["hwc"], equal_nan=True)
    assert np.nanmean(apart["table"]) == pytest.approx(np.nanmean(together["table"]), rel=0.1)


def test_a_sample_that_is_hit_harder_stays_so_at_every_severity(write: Write) -> None:
    data = everything(n=200, only=("hwc", "question"))
    steps = STEPS.replace('"tabular"', '"image"').replace("_convex", "_additive")
    found = [c for c in scenarios(planned(data, write("spread = 0.8", steps=steps))) if c.option("latent") == "shared"]
    far = np.stack([distances(data, c)["hwc"] for c in found])
    far = far[:, far[0] > 0]
    assert (np.diff(far, axis=0) > 0).all()
    at_five = np.sort(far[-1])
    assert at_five[-1] / at_five[0] > 2, "a sample may be spared four fifths of the severity"


def test_a_share_hits_the_same_samples_at_every_severity(write: Write) -> None:
    data = everything(n=300, only=("table", "question"))
    found = scenarios(planned(data, write(steps=STEPS.replace('"keyboard"', '"keyboard"\nshare = 0.3'))))
    hit = np.stack([distances(data, c)["question"] > 0 for c in found])
    assert 0.2 < hit[-1].mean() / 0.75 < 0.4, "three quarters of the questions are recorded"
    assert (hit[:-1] <= hit[1:]).all()
    assert (distances(data, found[0])["table"] > 0).mean() > 0.8


def test_the_same_for_any_batch_and_order(write: Write) -> None:
    data = everything()
    source, batch = source_of(data), whole(data)
    steps = STEPS.replace('"keyboard"', '"keyboard"\nshare = 0.5')
    condition = scenarios(planned(data, write("spread = 0.7", steps=steps)))[-1]
    probe = probes.get(condition.probe)
    whole_batch = probe.apply(batch, condition, source)
    order = np.random.default_rng(0).permutation(len(data))
    turned = subset(data, order)
    for rows, there in ((np.array([7]), data), (np.arange(11), data), (order, data), (np.arange(len(data)), turned)):
        part: Batch = probe.apply(there.rows(rows), condition, type(source)(there, source.statistics))
        places = order[rows] if there is turned else rows
        for m in condition.modalities:
            assert same(part.inputs[m], whole_batch.inputs[m][places])
    assert len(set(np.linspace(0, 1, FACTORS))) == FACTORS == 16


# ---- when it applies


def test_it_needs_two_kinds_or_what_the_file_requires(write: Write) -> None:
    table, note = dataset(n=20).modalities
    task = dataset(n=20).task
    other = replace(table, name="other")
    codes = Modality("codes", "tabular", (3,), "int64")

    def reason(modalities: tuple[Modality, ...], file: str) -> str:
        plan = make_plan(Suite(probes=("control",), scenarios=(file,)), modalities, task)
        return "" if scenarios(plan) else next(d.reason for d in plan.declined if "scenario" in d.probe)

    assert reason((table, note), write()) == ""
    assert "2 modalities of 1 of these kinds" in reason((table, other), write())
    assert "without its step tabular.gaussian_noise_convex" in reason((codes, note), write())
    audio = STEPS + '\n[[step]]\nkind = "audio"\nprobe = "gaussian_noise_additive"\n'
    assert reason((table, note), write(steps=audio)) == ""
    assert "needs audio" in reason((table, note), write('requires = ["audio"]', steps=audio))
    one_kind = STEPS.replace('kind = "text"\nprobe = "keyboard"', 'kind = "tabular"\nprobe = "gaussian_noise_additive"')
    assert reason((table, other), write(steps=one_kind)) == "", "two modalities of the only kind that it names"
    named = STEPS.replace('probe = "keyboard"', 'probe = "keyboard"\nmodality = "memo*"')
    assert "1 modality of 1" in reason((table, note), write(steps=named))
    assert reason((table, replace(note, name="memo 1")), write(steps=named)) == ""


def test_a_step_that_a_modality_declines_is_said_and_left_out(write: Write) -> None:
    data = everything(only=("table", "codes", "question"))
    plan = planned(data, write())
    assert scenarios(plan)[0].modalities == ("question", "table")
    (declined,) = [d for d in plan.declined if d.modalities == ("codes",)]
    assert declined.reason.startswith("without its step tabular.gaussian_noise_convex: ")


def test_a_similarity_floor_reaches_the_text_steps(write: Write) -> None:
    data = dataset(n=30)
    write_file = load([write()])
    scope = Scope(data.modalities, data.task, scenarios=write_file, similarity_floor=0.9)
    found = [c for c in probes.get("scenario.spilled_coffee").grid(scope) if isinstance(c, Condition)]
    assert found[-1].option("similarity_floor") == "0.9"
    free = list(probes.get("scenario.spilled_coffee").grid(replace(scope, similarity_floor=None)))
    assert isinstance(free[-1], Condition)
    assert np.mean(distances(data, found[-1])["note"]) < np.mean(distances(data, free[-1])["note"])


def test_a_similarity_floor_holds_for_all_text_steps_together() -> None:
    data = everything(only=("question", "sound"))
    scope = Scope(data.modalities, data.task, similarity_floor=0.6)
    probe = probes.get("scenario.transcription_errors")
    found = [c for c in probe.grid(scope) if isinstance(c, Condition)]
    texts = [str(text) for text in data.rows(np.arange(len(data))).inputs["question"]]
    for condition in found:
        new = [str(text) for text in probe.apply(whole(data), condition, source_of(data)).inputs["question"]]
        assert min(chrf(new, texts)) >= 0.6, condition.label
        assert new != texts


# ---- files


def test_the_key_follows_the_content_not_the_file(write: Write, tmp_path: Path) -> None:
    data = dataset(n=20)
    keys = [[c.key for c in scenarios(planned(data, f))] for f in (write(), write(file="copy.toml"))]
    assert keys[0] == keys[1]
    why = [c.key for c in scenarios(planned(data, write('why = "a reason"')))]
    assert why == keys[0], "words do not change what is done"
    for head, steps in (("spread = 0.5", STEPS), ("", STEPS.replace('"keyboard"', '"keyboard"\nshare = 0.5'))):
        changed = [c.key for c in scenarios(planned(data, write(head, steps=steps)))]
        assert not set(changed) & set(keys[0])


def test_names_are_unique(write: Write) -> None:
    with pytest.raises(BadInput, match="'bad_scan' is mmaudit's own"):
        load([write(name="bad_scan")])
    with pytest.raises(BadInput, match="another file has the name"):
        load([write(), write(file="second.toml")])


def test_a_plan_without_the_file_does_not_run_it(write: Write) -> None:
    data = dataset(n=20)
    assert scenarios(planned(data, write()))
    assert not [c for c in scenarios(make_plan("full", data.modalities, data.task)) if "coffee" in c.probe]
    unknown = replace(scenarios(planned(data, write()))[0], options=(("definition", "00000000"), ("latent", "shared")))
    with pytest.raises(BadInput, match="give the suite the file"):
        probes.get(unknown.probe).apply(whole(data), unknown, source_of(data))


def test_the_command_line_and_a_config_name_scenarios_surfaces_and_the_scale() -> None:
    assert options.suite({}) == "standard"
    shell = {"scenario": ["a.toml"], "surface": ["gaussian_blur,keyboard"], "severity_scale": "input"}
    config = {"scenario": "a.toml", "surface": [["gaussian_blur", "keyboard"]], "severity_scale": "input"}
    expected = {
        "base": "standard",
        "name": "standard",
        "scenarios": ["a.toml"],
        "surface": [["gaussian_blur", "keyboard"]],
        "severity_scale": "input",
    }
    assert options.suite(shell) == options.suite(config) == expected
    with pytest.raises(UnknownName, match="embeding"):
        Suite(severity_scale="embeding")
    with pytest.raises(BadInput, match="is not a list"):
        Suite(scenarios="mine.toml")  # type: ignore[arg-type]


# ---- a run


def test_a_run_scores_the_correlation(write: Write, tmp_path: Path) -> None:
    data, out = dataset(n=240), tmp_path / "run"
    suite = {"probes": ["control"], "positions": [2, 5], "scenarios": [write("spread = 0.9")]}
    report = audit(Rowwise(), data, out=out, suite=suite, resamples=100)
    conditions = {(c.option("latent"), c.position): c for c in Run.open(out).conditions if c.family == "scenario"}
    assert len(conditions) == 4
    together, apart = conditions["shared", 5], conditions["independent", 5]
    effect = report.score(together.key, "accuracy", against=apart.key)
    a, b = report.score(together.key, "accuracy"), report.score(apart.key, "accuracy")
    assert effect is not None
    assert a is not None
    assert b is not None
    assert effect.delta == pytest.approx(a.value - b.value)
    assert effect.delta_low <= effect.delta <= effect.delta_high
    (figure,) = scenario_curves(report)
    assert [p.title for p in figure.panels] == ["spilled coffee · note + table"]
    assert len(figure.table.rows) == 5, "clean, and four conditions"
    assert severity_curves(report) == ()
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "Coffee over the form." in page
    assert "A sample meets 10" in page
    described = json.loads((out / "report.json").read_text(encoding="utf-8"))["scenarios"]
    assert [s["probe"] for s in described] == ["scenario.spilled_coffee"]
    assert [s["modalities"] for s in described[0]["steps"]] == [["table"], ["note"]]

    same_again = audit(Rowwise(), data, out=out, suite=suite, resamples=100)
    assert len(Run.open(out).increments) == 1
    assert len(same_again.conditions) == len(report.conditions)


def test_a_changed_file_needs_another_name_or_folder(write: Write, tmp_path: Path) -> None:
    data, out = dataset(n=120), tmp_path / "run"
    small: dict[str, Any] = {"probes": ["control"], "positions": [5]}
    audit(Rowwise(), data, out=out, suite={**small, "scenarios": [write()]}, resamples=20)
    before, model = Run.open(out).header, Rowwise()
    changed = {**small, "scenarios": [write("spread = 0.5")]}
    with pytest.raises(StaleRun, match=r"'scenario\.spilled_coffee' as its file described it before.*another out="):
        audit(model, data, out=out, suite=changed, resamples=20)
    assert not model.calls
    assert Run.open(out).header == before

    renamed = {**small, "scenarios": [write("spread = 0.5", name="spilled_tea", file="tea.toml")]}
    audit(Rowwise(), data, out=out, suite=renamed, resamples=20)
    run = Run.open(out)
    assert [s["probe"] for s in run.header["scenarios"]] == ["scenario.spilled_coffee", "scenario.spilled_tea"]
    assert Report.read(out).document["scenarios"] == run.header["scenarios"]


def test_another_version_of_a_probe_is_refused(tmp_path: Path) -> None:
    data, out = dataset(n=60), tmp_path / "run"
    audit(Rowwise(), data, out=out, suite=["control"], resamples=20)
    run = Run.open(out)
    older = [replace(c, version=c.version + (c.probe == "destroy")).to_json() for c in run.conditions]
    run.update(increments=[older])
    with pytest.raises(StaleRun, match=r"has version 2 of 'destroy', which is version 1 now"):
        audit(Rowwise(), data, out=out, suite=["control"], resamples=20)

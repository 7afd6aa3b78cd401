"""Audits without the model: what is written, what comes back, and what a table may and may not hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

import mmaudit
from mmaudit.errors import BadInput, StaleRun, UnknownName
from mmaudit.precomputed import audit_predictions, read_inputs, write_inputs
from mmaudit.precomputed.answers import Answers
from mmaudit.store import Run
from mmaudit.types import Task

N = 40
SUITE = {
    "base": "quick",
    "probes": ["missing", "mismatch", "keyboard", "gaussian_noise_additive", "image.gaussian_blur"],
    "positions": [5],
    "subsets": "leave-one-out",
}
CLASSES = ("cat", "dog", "eel")
W = np.random.default_rng(5).normal(size=(64, 3))


def model(image: Any, text: Any) -> np.ndarray:
    """Numbers that depend on every pixel and every letter."""
    out = np.asarray(image, np.float64).reshape(len(image), -1) @ W / 255
    return (out + np.array([[len(t), t.count("e"), t.count("a")] for t in text]) / 4).astype(np.float32)


def data_of(n: int = N, **options: Any) -> mmaudit.ArrayData:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (n, 8, 8), np.uint8)
    text = np.array([" ".join(rng.choice(["red", "apple", "eel", "sea"], 4)) for _ in range(n)], object)
    kinds = {"image": "image", "text": "text"}
    target = model(image, text).argmax(1)
    inputs = {"image": image, "text": text}
    return mmaudit.ArrayData(inputs, target, Task.classification(CLASSES), kinds=kinds, **options)


def answered(folder: Path, conditions: list[str] | None = None) -> pd.DataFrame:
    """The table that a user would make."""
    parts = []
    for batch in read_inputs(folder, conditions=conditions):
        outputs = list(model(batch.inputs["image"], batch.inputs["text"]))
        parts.append(pd.DataFrame({"id": batch.ids, "condition": batch.condition, "output": outputs}))
    return pd.concat(parts)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    write_inputs(data_of(), folder, suite=SUITE)
    return folder


def clean_table(**columns: Any) -> pd.DataFrame:
    data = data_of()
    batch = data.rows(np.arange(N))
    outputs = model(batch.inputs["image"], batch.inputs["text"])
    return pd.DataFrame({"id": batch.ids, "condition": "clean", "output": list(outputs), **columns})


def test_the_audit_is_that_of_the_model_itself(written: Path, tmp_path: Path) -> None:
    """Bit for bit: the same predictions, proofs and digests of inputs, and the same scores."""
    suite = {**SUITE, "analyses": ["off_data"]}
    few: dict[str, Any] = {"resamples": 20, "keep_samples": 0}
    function = mmaudit.FunctionModel(model, ["image", "text"], outputs="logits")
    direct = mmaudit.audit(function, data_of(), out=tmp_path / "direct", suite=suite, **few)
    table = answered(written).sample(frac=1, random_state=0)  # in any order
    found = audit_predictions(
        table, data_of(), outputs="logits", out=tmp_path / "table", inputs=written, analyses=["off_data"], **few
    )
    here, there = Run.open(tmp_path / "direct"), Run.open(tmp_path / "table")
    assert [c.label for c in here.conditions] == [c.label for c in there.conditions]
    assert len(here.conditions) > 8
    for shard in range(len(here.shards())):
        assert here.file(shard, 0).read_bytes() == there.file(shard, 0).read_bytes()
    pd.testing.assert_frame_equal(direct.scores, found.scores)
    assert (tmp_path / "table" / "report.html").stat().st_size > 10_000


@pytest.mark.parametrize("sort", ["frame", "parquet", "csv", "folder", "columns", "numbered"])
def test_forms_of_the_table(tmp_path: Path, sort: str) -> None:
    ids = np.array([f"{i:03d}" for i in range(N)])  # "007" must not become 7
    table = clean_table(id=ids)
    wide = table.drop(columns="output")
    for i, name in enumerate(CLASSES):
        wide[f"output.{i if sort == 'numbered' else name}"] = np.stack(table["output"])[:, i]
    wide = wide[[*wide.columns[:2], *reversed(wide.columns[2:])]]
    given: Any = table if sort == "frame" else wide
    if sort == "parquet":
        given = tmp_path / "t.parquet"
        table.to_parquet(given)
    elif sort == "csv":
        given = tmp_path / "t.csv"
        wide.drop(columns="condition").to_csv(given, index=False)
    elif sort == "folder":
        given = tmp_path / "answers"
        given.mkdir()
        table[:15].to_parquet(given / "a.parquet")
        table[15:].to_parquet(given / "b.parquet")
    answers = Answers(given, data_of().task)
    assert answers.labels() == ["clean"]
    shuffled = np.random.default_rng(0).permutation(N)
    found = answers.read("clean", ids[shuffled])
    np.testing.assert_allclose(found, np.stack(table["output"])[shuffled], rtol=1e-6)
    assert found.dtype == np.float32


def test_what_is_not_in_the_table_is_not_reported(written: Path, tmp_path: Path) -> None:
    labels = ["clean", "missing[text, baseline=zero]"]
    options: dict[str, Any] = {"outputs": "logits", "out": tmp_path / "run", "inputs": written}
    options |= {"resamples": 10, "keep_samples": 0, "analyses": ["emap"]}
    report = audit_predictions(answered(written, labels), data_of(), **options)
    assert [c["label"] for c in report.document["conditions"]] == labels
    assert set(report.scores.label) >= set(labels)
    assert not report.scores.label.str.contains("mismatch").any()
    assert "table of answers" in Run.open(tmp_path / "run").header["not_analysed"]["emap"]
    reasons = [d["reason"] for d in report.document["declined"] if d["probe"] == "mismatch"]
    assert reasons
    assert all(reason.startswith("the table has no answers under mismatch[") for reason in reasons)
    # A larger table of the same model adds its conditions; what was there is left alone.
    first = Run.open(tmp_path / "run").file(0, 0)
    before = first.stat().st_mtime_ns
    every = json.loads((written / "conditions.json").read_text())["conditions"]
    more = [c["label"] for c in every if c["probe"] in ("clean", "missing", "mismatch")]
    report = audit_predictions(answered(written, more), data_of(), **options)
    assert sorted(c["label"] for c in report.document["conditions"]) == sorted(more)
    assert first.stat().st_mtime_ns == before
    changed = answered(written, more)
    changed["output"] = changed["output"].where(changed.condition == "clean", changed["output"].map(lambda x: x + 1))
    with pytest.raises(StaleRun, match="holds other answers under missing"):
        audit_predictions(changed, data_of(), **options)
    changed = answered(written, ["clean"])
    changed["output"] = changed["output"].map(lambda x: x + 1)
    with pytest.raises(StaleRun, match="another model"):
        audit_predictions(changed, data_of(), **options)


def test_null_is_no_answer(tmp_path: Path) -> None:
    table = clean_table()
    table.at[3, "output"] = None
    table.at[5, "output"] = np.array([1.0, np.nan, 0.0])
    report = audit_predictions(
        table, data_of(), outputs="logits", out=tmp_path / "run", resamples=10, keep_samples=0, analyses=()
    )
    stored = Run.open(tmp_path / "run")
    assert np.flatnonzero(~stored.read(stored.conditions[0]).answered).tolist() == [3, 5]
    assert any("2 samples have no answer" in c["message"] for c in report.document["checks"])


def test_probabilities_and_regression(tmp_path: Path) -> None:
    logits = np.stack(clean_table()["output"]).astype(np.float64)
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    table = clean_table(output=list(p))
    report = audit_predictions(
        table, data_of(), outputs="probabilities", out=tmp_path / "p", resamples=10, keep_samples=0
    )
    stored = Run.open(tmp_path / "p")
    np.testing.assert_allclose(stored.read(stored.conditions[0]).outputs, np.log(p), rtol=1e-5)
    assert {c["clause"]: c["ok"] for c in report.document["checks"]}["probabilities"] is True
    for wrong in (p * 2, p / 2, logits):
        with pytest.raises(BadInput, match="outputs='probabilities' declared"):
            audit_predictions(clean_table(output=list(wrong)), data_of(), outputs="probabilities", out=tmp_path / "q")
    x = np.arange(20.0)
    data = mmaudit.ArrayData({"x": x[:, None]}, x * 2, Task.regression(1), kinds={"x": "tabular"})
    table = pd.DataFrame({"id": range(20), "output": x * 2 + 1})
    report = audit_predictions(
        table, data, outputs="values", out=tmp_path / "r", resamples=10, keep_samples=0, analyses=()
    )
    errors = report.scores[(report.scores.metric == "mae") & (report.scores.group == "")]
    assert set(errors.value) == {1.0}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.drop(columns="id"), "no column 'id'"),
        (lambda t: t.drop(columns="output"), "no outputs: .* Scores of every class are needed"),
        (lambda t: t[t.id != 7], "no answer to 1 of 40 samples under 'clean', the first being 7"),
        (lambda t: pd.concat([t, t[:1]]), "answers sample 0 twice"),
        (lambda t: t.assign(condition="missing[text, baseline=zero]"), "no answers to clean inputs"),
        (lambda t: pd.concat([t, t.assign(condition="misssing[text, baseline=zero]")]), r"did you mean 'missing\[text"),
        (lambda t: pd.concat([t, t.assign(condition=None)]), "rows without a condition"),
        (lambda t: t.assign(output=t.output.map(lambda x: x[:2])), "have 2 outputs, the task .* has 3"),
        (lambda t: t.assign(output=t.output.map(lambda x: x[: 2 + int(x[0] > 1)])), "lengths differ: 2, 3"),
        (lambda t: t.assign(output="cat"), "are no lists of numbers"),
        (lambda t: t.assign(output=None), "no usable answer"),
        (lambda t: t.drop(columns="output").assign(**{"output.cat": 1.0}), "outputs are 'cat', those"),
    ],
)  # fmt: skip
def test_tables_that_cannot_be_audited(tmp_path: Path, change: Any, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        audit_predictions(change(clean_table()), data_of(), outputs="logits", out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 not")
    (tmp_path / "bad.xlsx").write_bytes(b"")
    (tmp_path / "empty").mkdir()
    for name, said in (
        ("bad.parquet", "cannot be read"),
        ("bad.xlsx", r"give \.parquet or \.csv"),
        ("empty", "exist"),
        ("none.csv", "exist"),
    ):
        with pytest.raises(BadInput, match=said):
            audit_predictions(tmp_path / name, data_of(), outputs="logits", out=tmp_path / "run")
    with pytest.raises(BadInput, match="outputs is not given"):
        audit_predictions(clean_table(), data_of(), out=tmp_path / "run")
    retrieval = mmaudit.ArrayData({"a": np.eye(6), "b": np.eye(6)}, None, Task.retrieval("a", "b"))
    with pytest.raises(BadInput, match="needs an output per class"):
        audit_predictions(clean_table(), retrieval, outputs="logits", out=tmp_path / "run")


# ---- the inputs


def test_inputs_are_what_a_model_receives(written: Path) -> None:
    """Against the probes themselves, for every condition; what is not changed comes from the clean file."""
    from mmaudit.data import all_statistics
    from mmaudit.precomputed.manifest import Manifest
    from mmaudit.probes import Source, probes

    data = data_of()
    source = Source(data, all_statistics(data))
    clean = data.rows(np.arange(N))
    manifest = Manifest.open(written)
    assert manifest.conditions[0].label == "clean"
    for condition, found in zip(manifest.conditions, read_inputs(written), strict=True):
        meant = clean if condition.family == "clean" else probes.get(condition.probe).apply(clean, condition, source)
        for name in ("image", "text"):
            np.testing.assert_array_equal(found.inputs[name], meant.inputs[name])
            assert found.inputs[name].dtype == meant.inputs[name].dtype
            np.testing.assert_array_equal(found.present[name], meant.present[name])
        columns = pq.read_schema(manifest.file(condition)).names
        assert {c[6:] for c in columns if c.startswith("input.")} == set(condition.modalities or ("image", "text"))


def test_ragged_absent_and_wide_data_come_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    sound = np.empty(300, object)
    for i in range(300):
        sound[i] = rng.normal(size=(rng.integers(1, 5), 2)).astype(np.float32)
    present = rng.random(300) > 0.2
    data = mmaudit.ArrayData(
        {"sound": sound, "x": rng.normal(size=(300, 2, 3)).astype(np.float16)},
        rng.integers(0, 2, 300),
        Task.classification(2),
        kinds={"sound": "series", "x": "embedding"},
        present={"sound": present},
        ids=np.array([f"s{i}" for i in range(300)]),
    )
    write_inputs(data, tmp_path, suite=["missing"], native_absence=True)
    clean = list(read_inputs(tmp_path, conditions=["clean"]))
    assert [len(batch) for batch in clean] == [256, 44]
    whole = data.rows(np.arange(300))
    for row, batch, i in ((0, clean[0], 0), (260, clean[1], 4)):
        np.testing.assert_array_equal(batch.inputs["sound"][i], whole.inputs["sound"][row])
        np.testing.assert_array_equal(batch.inputs["x"][i], whole.inputs["x"][row])
        assert batch.ids[i] == f"s{row}"
    assert clean[0].inputs["x"].dtype == np.float16
    np.testing.assert_array_equal(np.concatenate([b.present["sound"] for b in clean]), present)
    native = [b for b in read_inputs(tmp_path) if "baseline=native" in b.condition]
    assert native
    assert any(not b.present["x"].any() for b in native)


def test_writing_goes_on_where_it_stopped(written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mmaudit.precomputed import writing

    monkeypatch.setattr(writing, "_OPEN", 2)
    calls = []

    def stop(done: int, total: int) -> None:
        calls.append((done, total))
        if len(calls) == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_inputs(data_of(), tmp_path, suite=SUITE, progress=stop)
    assert not (tmp_path / "conditions.json").exists()
    kept = sorted(p.name for p in tmp_path.glob("*.parquet"))
    assert len(kept) == 4
    assert not list(tmp_path.glob("*.partial"))
    with pytest.raises(BadInput, match=r"holds no conditions\.json"):
        next(read_inputs(tmp_path))
    calls.clear()
    write_inputs(data_of(), tmp_path, suite=SUITE, progress=lambda *x: calls.append(x))
    assert calls[0][0] == 5 * N
    assert calls[-1][0] == calls[-1][1]
    for file in written.glob("*.parquet"):
        assert pq.read_table(file).equals(pq.read_table(tmp_path / file.name))
    with pytest.raises(BadInput, match="other data or another suite"):
        write_inputs(data_of(), tmp_path, suite="quick")
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "notes.txt").write_text("mine")
    with pytest.raises(BadInput, match="holds other files"):
        write_inputs(data_of(), tmp_path / "x", suite=SUITE)


def test_inputs_of_other_data_are_refused(written: Path, tmp_path: Path) -> None:
    with pytest.raises(StaleRun, match="written from another data"):
        audit_predictions(clean_table(), data_of(N + 1), outputs="logits", out=tmp_path / "run", inputs=written)
    with pytest.raises(UnknownName, match="misssing"):
        next(read_inputs(written, conditions=["misssing[text]"]))
    with pytest.raises(BadInput, match="severity_scale='embedding'"):
        write_inputs(data_of(), tmp_path / "e", suite={**SUITE, "severity_scale": "embedding"})


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"schema": 1}', '{"schema": "mmaudit.inputs/1"}', "[" * 9999])
def test_damaged_manifests(tmp_path: Path, content: str) -> None:
    (tmp_path / "conditions.json").write_text(content)
    with pytest.raises((BadInput, StaleRun)):
        next(read_inputs(tmp_path))


def test_damaged_inputs(written: Path, tmp_path: Path) -> None:
    for file in written.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes()[:-30])
    (tmp_path / "conditions.json").write_bytes((written / "conditions.json").read_bytes())
    with pytest.raises(BadInput, match="cannot be read"):
        list(read_inputs(tmp_path))


def test_from_the_shell(tmp_path: Path) -> None:
    """Write inputs, answer them, audit the table: by commands alone."""
    from typer.testing import CliRunner

    from mmaudit.cli import app

    batch = data_of().rows(np.arange(N))
    np.savez(
        tmp_path / "d.npz", image=batch.inputs["image"], text=batch.inputs["text"].astype(str), target=batch.target
    )
    described = ["--data", str(tmp_path / "d.npz"), "--target", "target", "--task", "classification:3"]
    described += ["--modality", "image=image", "--modality", "text=text"]
    (tmp_path / "suite.toml").write_text('[suite]\nprobes = ["missing"]\nbaselines = ["zero"]\nanalyses = []\n')
    described += ["--config", str(tmp_path / "suite.toml")]
    shell = CliRunner()
    done = shell.invoke(app, ["write-inputs", *described, "--out", str(tmp_path / "inputs"), "--json"])
    assert done.exit_code == 0, done.output
    labels = json.loads(done.stdout)["conditions"]
    answered(tmp_path / "inputs").to_parquet(tmp_path / "answers.parquet")
    command = ["audit-predictions", str(tmp_path / "answers.parquet"), *described, "--outputs", "logits", "--json"]
    command += ["--inputs", str(tmp_path / "inputs"), "--out", str(tmp_path / "run"), "--resamples", "10"]
    done = shell.invoke(app, [*command, "--keep-samples", "0"])
    assert done.exit_code == 0, done.output
    assert [c.label for c in Run.open(tmp_path / "run").conditions] == labels
    assert (tmp_path / "run" / "report.html").exists()


@pytest.mark.parametrize(
    ("place", "to"),
    [
        (("conditions",), []),
        (("conditions", 1, "severity"), "much"),
        (("conditions", 1, "severity"), {"much": 1}),
        (("modalities", 0, "shape"), ["8", 8]),
        (("modalities", 0, "name"), 3),
        (("modalities", 0), {}),
        (("declined",), [{"probe": "missing"}]),
        (("declined",), [{"probe": 3, "modalities": ["text"], "reason": "x"}]),
        (("scenarios",), [{}]),
        (("suite",), "quick"),
    ],
)
def test_a_list_of_conditions_of_another_form_is_named(
    written: Path, tmp_path: Path, place: tuple[Any, ...], to: Any
) -> None:
    content = json.loads((written / "conditions.json").read_text(encoding="utf-8"))
    at = content
    for step in place[:-1]:
        at = at[step]
    at[place[-1]] = to
    (tmp_path / "conditions.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(BadInput, match=r"conditions\.json is not readable"):
        list(read_inputs(tmp_path))


def test_written_inputs_of_another_form_are_named(written: Path, tmp_path: Path) -> None:
    content = (written / "conditions.json").read_text(encoding="utf-8")
    (tmp_path / "conditions.json").write_text(content, encoding="utf-8")
    clean = tmp_path / f"{json.loads(content)['conditions'][0]['key']}.parquet"
    table = pq.read_table(written / clean.name)
    for spoilt in (
        table.drop_columns(["input.text"]),
        table.drop_columns(["present.image"]),
        table.set_column(table.column_names.index("input.image"), "input.image", table.column("input.text")),
    ):
        pq.write_table(spoilt, clean)
        with pytest.raises(BadInput, match=r"does not hold what conditions\.json says"):
            list(read_inputs(tmp_path, conditions=["clean"]))


def test_a_table_whose_statistics_contradict_themselves_is_read_or_refused(tmp_path: Path) -> None:
    """Arrow's own filter over files looks at statistics, and waits forever for this one's."""
    file = tmp_path / "a.parquet"
    file.write_bytes((Path(__file__).parent / "fuzz" / "found" / "answers.parquet@filter").read_bytes())
    answers = Answers(file, Task.classification(2))
    assert answers.labels() == ["clean", "destroy"]
    assert answers.read("destroy", np.arange(6)).shape == (6, 2)


def test_a_folder_of_files_with_one_condition_each_and_one_without_rows(tmp_path: Path) -> None:
    table = pd.DataFrame({"id": ["a", "b"], "condition": "clean", "output": [[0.0, 1.0], [1.0, 0.0]]})
    table.to_parquet(tmp_path / "a.parquet")
    table.assign(condition="destroy").to_parquet(tmp_path / "b.parquet")
    table[:0].to_parquet(tmp_path / "c.parquet")
    answers = Answers(tmp_path, Task.classification(2))
    assert answers.labels() == ["clean", "destroy"]
    np.testing.assert_array_equal(answers.read("destroy", np.array(["b", "a"], object)), [[1, 0], [0, 1]])
    with pytest.raises(BadInput, match="no answer to 1 of 1 samples"):
        answers.read("missing", np.array(["a"], object))
    table.drop(columns="condition").to_parquet(tmp_path / "d.parquet")
    with pytest.raises(BadInput, match=r"'d\.parquet' has no column 'condition'"):
        Answers(tmp_path, Task.classification(2)).labels()

"""`mmaudit init`: what it reads off the data runs at once; names from a file cannot become code."""

from __future__ import annotations

import ast
import json
import runpy
import tomllib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile as sf
from PIL import Image
from typer.testing import CliRunner

from helpers.init_cases import CLASS, RNG, N, forgotten, runs, save_samples
from mmaudit import options
from mmaudit.cli import app
from mmaudit.errors import BadInput
from mmaudit.starter import start


@pytest.fixture(autouse=True)
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    yield from forgotten(tmp_path, monkeypatch)


@pytest.fixture
def npz(tmp_path: Path) -> str:
    return save_samples(tmp_path)


@pytest.fixture
def table(tmp_path: Path) -> str:
    """A CSV-like table as Parquet: two numbers and a text, a target of two values."""
    texts = [f"{'good' if c else 'bad'} case number {i}" for i, c in enumerate(CLASS > 0)]
    frame = pd.DataFrame({"age": RNG.normal(50, 9, N), "dose": RNG.normal(size=N), "note": texts, "y": CLASS % 2})
    frame.to_parquet(tmp_path / "mine.parquet")
    return "mine.parquet"


@pytest.mark.parametrize("kind", ["torch", "sklearn", "function"])
@pytest.mark.parametrize("file", ["npz", "table"])
def test_a_stand_in_runs(
    kind: str, file: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = request.getfixturevalue(file)
    written = start(kind, None, data, tmp_path / kind, {})
    assert written.files == ("audit_model.py", "audit.toml")
    assert any("REPLACE" in line for line in written.open)
    model, rows, verdicts = runs(tmp_path / kind, monkeypatch)
    broken = {clause for clause, ok in verdicts.items() if ok is False}
    assert not broken
    assert "stand-in" in model.name or model.name == f"untrained {kind} stand-in"
    assert set(model.modalities) == {m.name for m in rows.modalities}


def test_roles_are_read_off_an_npz(npz: str, tmp_path: Path) -> None:
    start("function", None, npz, tmp_path / "out", {})
    text = (tmp_path / "out" / "audit.toml").read_text()
    said = tomllib.loads(text)
    assert said["model"] == "audit_model:make"
    assert said["data"] == said["train"] == "../mine.npz"
    assert (said["target"], said["task"], said["split"], said["train_split"]) == (
        *("label", "classification:3"),
        *("test", "train"),
    )
    assert said["modality"] == {"photo": "image", "note": "text", "lab": "tabular"}
    assert said["group"] == ["site"]
    assert '# cluster = "patient"' in text
    assert "# not used: weight" in text
    assert set(said) <= set(options.KEYS)


def test_roles_are_read_off_a_table(table: str, tmp_path: Path) -> None:
    start("function", None, table, tmp_path, {})
    said = tomllib.loads((tmp_path / "audit.toml").read_text())
    assert said["modality"] == {"note": "text", "table": "tabular"}
    assert said["columns"] == {"table": ["age", "dose"]}
    assert (said["target"], said["task"]) == ("y", "classification:2")


@pytest.mark.parametrize("form", ["mine.csv", "mine.tsv", "mine.jsonl", "mine.parquet", "folder"])
def test_roles_are_read_off_a_table_of_files(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Columns of names of files are what the files are; all else is as in a table of values."""
    home = tmp_path / "folder"
    (home / "seen").mkdir(parents=True)
    for i in range(N):
        Image.fromarray(RNG.integers(0, 256, (9, 8 + i % 2, 3), np.uint8)).save(home / "seen" / f"{i}.PNG")
        sf.write(home / "seen" / f"{i}.wav", 0.1 * RNG.normal(size=400), 8000)
    names = np.array(["red", "green", "blue"])[CLASS]
    frame = pd.DataFrame(
        {
            "id": [f"s{i}" for i in range(N)],
            "photo": [f"seen/{i}.PNG" for i in range(N)],
            "voice": [f"seen/{i}.wav" if i % 7 else None for i in range(N)],
            "note": [f"a {name} thing" for name in names],
            "age": RNG.normal(50, 9, N),
            "dose": RNG.integers(0, 100, N),
            "site": np.array(["north", "south"])[np.arange(N) // 30 % 2],
            "label": names,
        }
    )
    write = {
        ".csv": lambda path: frame.to_csv(path, index=False),
        ".tsv": lambda path: frame.to_csv(path, index=False, sep="\t"),
        ".jsonl": lambda path: frame.to_json(path, orient="records", lines=True),
        ".parquet": lambda path: frame.to_parquet(path),
    }
    table = home / ("metadata.csv" if form == "folder" else form)
    write[table.suffix](table)
    start("function", None, "folder" if form == "folder" else f"folder/{form}", tmp_path / "out", {})
    said = tomllib.loads((tmp_path / "out" / "audit.toml").read_text())
    assert said["modality"] == {"photo": "image", "voice": "audio", "note": "text", "table": "tabular"}
    assert said["columns"] == {"table": ["age", "dose"]}
    assert (said["target"], said["task"], said["ids"], said["group"]) == ("label", "classification", "id", ["site"])
    _, data, verdicts = runs(tmp_path / "out", monkeypatch)
    assert {m.name: m.kind for m in data.modalities} == {
        "photo": "image", "voice": "audio", "note": "text", "table": "tabular"
    }  # fmt: skip
    assert data.presence("voice").sum() == N - len(range(0, N, 7))
    assert False not in verdicts.values()


@pytest.mark.parametrize(
    ("target", "task"),
    [
        (RNG.normal(size=N), "regression"),
        (RNG.normal(size=(N, 2)), "regression"),
        (RNG.integers(0, 2, (N, 4)), "multilabel"),
        (np.array(["no", "yes"])[CLASS % 2], "classification"),
        (RNG.integers(0, 2, N).astype(bool), "classification"),
    ],
)
@pytest.mark.parametrize("kind", ["torch", "sklearn", "function"])
def test_the_task_follows_the_target(
    target: np.ndarray, task: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.savez(tmp_path / "d.npz", a=RNG.normal(size=(N, 3)), b=RNG.normal(size=(N, 2)), target=target)
    start(kind, None, "d.npz", tmp_path, {})
    assert tomllib.loads((tmp_path / "audit.toml").read_text())["task"].partition(":")[0] == task
    _, rows, verdicts = runs(tmp_path, monkeypatch)
    assert rows.task.kind == task
    assert not [clause for clause, ok in verdicts.items() if ok is False]


def test_a_retrieval(npz: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"task": "retrieval:photo->note", "modality": ["photo=image", "note=text"]}
    start("torch", None, npz, tmp_path, given)
    model, _, verdicts = runs(tmp_path, monkeypatch)
    assert model.modalities == ("photo", "note")
    assert False not in verdicts.values()
    with pytest.raises(BadInput, match="use --kind torch"):
        start("sklearn", None, npz, tmp_path / "other", given)


def test_values_that_samples_share_are_one_modality(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`photo.index` says which of the photos a sample has; `classes` names the target's values."""
    photos = RNG.integers(0, 256, (5, 6, 6, 3), np.uint8)
    given = {"photo": photos, "photo.index": np.arange(N) % 5, "classes": np.array(["no", "yes", "maybe"])}
    np.savez(tmp_path / "d.npz", label=CLASS, table=RNG.normal(size=(N, 2)), **given)
    start("torch", None, "d.npz", tmp_path, {})
    _, rows, verdicts = runs(tmp_path, monkeypatch)
    assert [m.name for m in rows.modalities] == ["table", "photo"]
    assert rows.task.names == ("no", "yes", "maybe")
    assert False not in verdicts.values()


def test_float_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pixels as floats: layout and range are read off the values."""
    np.savez(
        tmp_path / "d.npz", picture=RNG.random((N, 3, 6, 6), np.float32), speech=RNG.normal(size=(N, 500)), y=CLASS
    )
    start("torch", None, "d.npz", tmp_path, {})
    said = tomllib.loads((tmp_path / "audit.toml").read_text())
    assert said["modality"] == {"picture": "image,layout=CHW,range=0..1", "speech": "audio"}
    _, rows, verdicts = runs(tmp_path, monkeypatch)
    assert rows.modalities[0].layout == "CHW"
    assert False not in verdicts.values()


@pytest.mark.parametrize(
    ("kind", "model", "data", "said"),
    [
        ("tourch", None, "mine.npz", "--kind 'tourch' is not one of torch"),
        (None, None, "mine.npz", "say what sort of model"),
        ("onnx", None, "mine.npz", "--kind onnx needs --model model.onnx"),
        ("torch", "no_such_module:x", "mine.npz", "no module 'no_such_module'"),
        ("torch", "model.onnx", "mine.npz", "'model.onnx' does not exist"),
        ("torch", "weights.safetensors", "mine.npz", "holds weights"),
        ("torch", "https://host/x", "mine.npz", "looks like http"),
        ("torch", None, "no.npz", "does not exist"),
        ("torch", None, "no.xyz", "xyz"),
        ("torch", None, "bad.npz", "not a readable .npz"),
    ],
)
def test_what_is_wrong_is_said(
    kind: str | None, model: str | None, data: str, said: str, npz: str, tmp_path: Path
) -> None:
    (tmp_path / "bad.npz").write_bytes(b"PK\x03\x04 not a zip")
    with pytest.raises(BadInput) as raised:
        start(kind, model, data, tmp_path / "out", {})
    assert said in str(raised.value)
    assert not (tmp_path / "out").exists()


def test_files_that_are_there_are_left_alone(npz: str, tmp_path: Path) -> None:
    (tmp_path / "audit.toml").write_text("# mine")
    with pytest.raises(BadInput, match="--force replaces it"):
        start("function", None, npz, tmp_path, {})
    assert (tmp_path / "audit.toml").read_text() == "# mine"
    assert not (tmp_path / "audit_model.py").exists()
    start("function", None, npz, tmp_path, {}, force=True)
    assert (tmp_path / "audit_model.py").exists()


HOSTILE = [
    '"""\nraise SystemExit("ran")\n"""',
    "a'\"; import os #",
    '\\"""x',
    "{{ 7 * 7 }}{% raw %}",
    "line\nbreak = 1",
    "עברית \u202e مرحبا",
    "]\n[x]\ny = 1",
]


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("kind", ["torch", "sklearn", "function"])
def test_names_from_a_file_stay_names(name: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As modality, class and unused column: the code has the statements it would have with harmless names."""
    frame = pd.DataFrame({name: [f"text {i}" for i in range(N)], "v": CLASS * 0.5, name + "_id": CLASS})
    frame["label"] = np.array([name, "b", "c"])[CLASS]
    frame.to_parquet(tmp_path / "d.parquet")
    start(kind, None, "d.parquet", tmp_path, {})
    code = ast.parse((tmp_path / "audit_model.py").read_text())
    kinds = {type(node).__name__ for node in code.body}
    assert kinds <= {"Expr", "Import", "ImportFrom", "FunctionDef", "ClassDef"}
    assert sum(isinstance(node, ast.Expr) for node in code.body) == 1  # the docstring
    said = tomllib.loads((tmp_path / "audit.toml").read_text())
    assert set(said["modality"]) == {name, "table"}
    assert set(said) <= set(options.KEYS)
    model, rows, _ = runs(tmp_path, monkeypatch)
    assert name in model.modalities
    assert name in rows.task.names


def test_the_command(npz: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["init", "--kind", "function", "--data", npz, "--out", "there"])
    assert done.exit_code == 0, done.output
    assert "seen   modality photo: image, uint8 [8, 8, 3]" in done.output
    assert "Next:  cd there && mmaudit doctor --config audit.toml" in done.output
    found = json.loads(CliRunner().invoke(app, ["init", "--kind", "torch", "--data", npz, "--json"]).output)
    assert found["files"] == ["audit_model.py", "audit.toml"]
    missing = CliRunner().invoke(app, ["init", "--kind", "torch"])
    assert isinstance(missing.exception, BadInput)


def test_a_table_of_answers(npz: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clean answers alone give a report; inputs that were written and answered give the rest."""
    given = {"split": "split=test", "outputs": "probabilities"}
    with np.load(npz) as file:
        ids, right = file["id"][file["split"] == "test"], CLASS[file["split"] == "test"]
    rows = 0.8 * np.eye(3)[right] + 0.2 / 3
    table = pd.DataFrame({"id": ids, "condition": "clean", **{f"output.{i}": rows[:, i] for i in range(3)}})
    table.to_parquet(tmp_path / "answers.parquet")
    written = start(None, "answers.parquet", npz, tmp_path / "audit", given)
    assert (written.files, written.next) == (("audit_predictions.py",), "python audit_predictions.py")
    monkeypatch.chdir(tmp_path / "audit")
    names = runpy.run_path("audit_predictions.py")
    assert len(names["data"]()) == len(right)
    names["report"]()
    assert (tmp_path / "audit" / "runs" / "mine" / "report.html").exists()

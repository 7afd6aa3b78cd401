"""Tables of answers: their forms, and what one may not hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mmaudit
from helpers.precomputed_cases import CLASSES, N, clean_table, data_of
from mmaudit.errors import BadInput
from mmaudit.precomputed import audit_predictions
from mmaudit.precomputed.answers import Answers
from mmaudit.types import Task


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


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.drop(columns="id"), "no column 'id'"),
        (lambda t: t.drop(columns="output"), "no outputs: .* Scores of every class are needed"),
        (lambda t: t[t.id != 7], "no answer to 1 of 40 samples under 'clean', the first being '7'. Answer"),
        (lambda t: t.assign(id=[f"s{i}" for i in t.id]), "first being '0'. The table answers 's0', which is no id of"),
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
    with pytest.raises(BadInput, match=r"answers 1 sample that the data does not have under 'clean', .* 'b'"):
        answers.read("clean", np.array(["a"], object))
    table.drop(columns="condition").to_parquet(tmp_path / "d.parquet")
    with pytest.raises(BadInput, match=r"'d\.parquet' has no column 'condition'"):
        Answers(tmp_path, Task.classification(2)).labels()

"""Whatever the data set, its gaps, the batches and the shards: the run holds the model's own answers, once each."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.run_cases import Rowwise, Whole, dataset
from mmaudit import Run
from mmaudit.auditing import prepare
from mmaudit.predict import predict
from mmaudit.probes import probes
from mmaudit.types import CLEAN


@settings(max_examples=25, deadline=None)
@given(
    n=st.integers(6, 70),
    rows=st.integers(1, 80),
    shard=st.integers(1, 80),
    gaps=st.integers(2, 9),
    native=st.booleans(),
    staged=st.booleans(),
    kind=st.sampled_from(["classification", "multilabel", "regression"]),
    stop=st.integers(0, 100),
)
def test_the_run_holds_what_the_model_says(
    n: int, rows: int, shard: int, gaps: int, native: bool, staged: bool, kind: str, stop: int
) -> None:
    present = {"table": np.arange(n) % gaps != 1, "note": np.arange(n) % (gaps + 1) != 2}
    data = dataset(kind, n, seed=n, present=present)
    model = Rowwise(kind, native=native)
    prepared = prepare(model if staged else Whole(model), data, suite=["missing", "missing_rate", "mismatch"])
    with tempfile.TemporaryDirectory() as folder:
        run = Run.create(
            Path(folder) / "run",
            prepared.header(rows, None, "") | {"shard_rows": shard},
            prepared.open_run(Path(folder) / "other", batch_rows=rows, title=None, command="").samples,
        )

        def ask() -> None:
            predict(run, data, prepared.model, prepared.source, stage=prepared.stage, batch_rows=rows)

        ask()
        # Some shards are lost; the rest must not be asked for again.
        lost = [s for s in range(len(run.shards())) if (s * 37 + stop) % 3 == 0]
        for s in lost:
            run.file(s, 0).unlink()
        model.rows.clear()
        ask()
        asked = model.rows["fuse"] if staged else model.rows["predict"]
        assert asked == sum(len(run.shards()[s]) for s in lost) * len(run.conditions)
        batch = data.rows(np.arange(n))
        for condition in run.conditions:
            if condition == CLEAN:
                perturbed = batch
            else:
                perturbed = probes.get(condition.probe).apply(batch, condition, prepared.source)
            answers = run.read(condition)
            np.testing.assert_array_equal(answers.outputs, Rowwise(kind, native=native).predict(perturbed))
            for name in ("table", "note"):
                same = batch.inputs[name] == perturbed.inputs[name]
                differs = ~(same.all(axis=1) if same.ndim > 1 else same)
                hidden = batch.present[name] != perturbed.present[name]
                np.testing.assert_array_equal(answers.changed[name], differs | hidden, err_msg=condition.label)
                np.testing.assert_array_equal(np.isnan(answers.moved[name]), hidden)

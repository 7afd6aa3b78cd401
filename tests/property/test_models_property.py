"""For random batches: encoding and fusing equals predicting, bit for bit, also with modalities from other rows."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mmaudit.models import TorchModel
from model_cases import (
    CASES,
    module_of,
    one_thread,  # noqa: F401  (a fixture)
    random_batch,
)

STAGED = sorted(name for name, case in CASES.items() if case.found)


@cache
def staged(name: str) -> tuple[TorchModel, Any]:
    case = CASES[name]
    model = TorchModel(module_of(name), case.modalities, outputs="logits", device="cpu", **case.options)
    view, reason = model.stage(random_batch(12))
    assert view is not None, reason
    return model, view


@given(name=st.sampled_from(STAGED), n=st.integers(1, 17), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=150, deadline=None, derandomize=True)
def test_fuse_of_encode_is_predict(name: str, n: int, seed: int) -> None:
    model, view = staged(name)
    batch = random_batch(n, seed)
    features = {modality: view.encode(modality, batch) for modality in model.modalities}
    assert np.array_equal(view.fuse(features, batch), model.predict(batch))


@given(
    name=st.sampled_from(STAGED),
    n=st.integers(2, 17),
    seed=st.integers(0, 2**32 - 1),
    order=st.randoms(),
    data=st.data(),
)
@settings(max_examples=150, deadline=None, derandomize=True)
def test_exchanging_features_is_exchanging_inputs(
    name: str, n: int, seed: int, order: Any, data: st.DataObject
) -> None:
    model, view = staged(name)
    batch = random_batch(n, seed)
    rows = list(range(n))
    order.shuffle(rows)
    shuffled = batch.take(np.array(rows))
    modality = data.draw(st.sampled_from(model.modalities))
    features = {m: view.encode(m, batch) for m in model.modalities}
    features[modality] = view.encode(modality, shuffled)
    exchanged = batch.replace({modality: shuffled.inputs[modality]})
    assert np.array_equal(view.fuse(features, exchanged), model.predict(exchanged))


@given(name=st.sampled_from(STAGED), n=st.integers(2, 17), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_fusing_leaves_features_as_they_were(name: str, n: int, seed: int) -> None:
    model, view = staged(name)
    batch, other = random_batch(n, seed), random_batch(n, seed + 1)
    features = {m: view.encode(m, batch) for m in model.modalities}
    first = view.fuse(features, batch)
    last = model.modalities[-1]
    view.fuse({**features, last: view.encode(last, other)}, batch)
    assert np.array_equal(view.fuse(features, batch), first)

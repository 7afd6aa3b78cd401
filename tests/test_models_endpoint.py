"""Models behind an HTTP address, against real servers on this computer."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mmaudit
from helpers.endpoint_server import NAMES, TOKEN, Make, Server, answers, batch, clients, expected, serving
from mmaudit.errors import BadInput, ContractBroken
from mmaudit.models import check_model, load_model
from mmaudit.models.endpoint import ASKED_AGAIN, EndpointModel
from mmaudit.models.endpoint_body import decoded, encoded
from mmaudit.types import Task


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    yield from serving(monkeypatch)


@pytest.fixture
def model(server: Server) -> Iterator[Make]:
    yield from clients(server)


@pytest.mark.parametrize("body", ["json", "npz"])
def test_answers_are_those_of_the_served_model(server: Server, model: Make, body: str) -> None:
    found = model(body=body, request_rows=4).predict(batch(9))
    np.testing.assert_array_equal(found, expected(batch(9)).astype(np.float32))
    assert sorted(len(r["inputs"]["text"]) for r in server.requests) == [1, 4, 4]
    assert all(r["present"] == {} for r in server.requests)


@pytest.mark.parametrize("body", ["json", "npz"])
def test_requests_are_the_documented_form(body: Any) -> None:
    of = batch(3).inputs | {"image": np.arange(12, dtype=np.uint8).reshape(3, 2, 2)}
    inputs, present = decoded(body, encoded(body, of, {"text": np.array([True, False, True])}))
    assert list(inputs["text"]) == of["text"].tolist()
    np.testing.assert_array_equal(np.asarray(inputs["sensor"], np.float32), of["sensor"])
    np.testing.assert_array_equal(inputs["image"], of["image"])
    assert list(present["text"]) == [True, False, True]


def test_numbers_that_json_has_not_are_null() -> None:
    content = encoded("json", {"x": np.array([[np.nan, 1], [np.inf, -2]])}, None)
    assert json.loads(content) == {"inputs": {"x": [[None, 1], [None, -2]]}}


def test_the_contract_holds(model: Make, tmp_path: Path) -> None:
    for options in ({}, {"cache": tmp_path, "version": "1"}):
        checks = check_model(model(**options), batch(40), Task.classification(3))
        assert not [c for c in checks if c.ok is False], checks


def test_absence_is_sent(server: Server, model: Make) -> None:
    of = batch(3).replace(present={"text": np.array([True, False, True])})
    assert model(absence="present").native_absence
    model(absence="present").predict(of)
    assert server.requests[0]["present"] == {"sensor": [True] * 3, "text": [True, False, True]}


def test_a_whole_audit(server: Server, model: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that the endpoint refuses have no answer, all others have; the token is nowhere in the run folder."""
    monkeypatch.setenv("MMAUDIT_TOKEN", TOKEN)
    of = batch(60)
    bad = of.inputs["sensor"][8].tolist()

    def refuse(_: int, request: dict[str, Any]) -> tuple[int, dict[str, str], bytes] | None:
        there = any(np.allclose(row, bad) for row in request["inputs"]["sensor"])
        return (422, {}, f"Authorization: {request['headers']['Authorization']}".encode()) if there else None

    kinds = {"sensor": "tabular", "text": "text"}
    data = mmaudit.ArrayData(dict(of.inputs), expected(of).argmax(1), Task.classification(3), kinds=kinds)
    suite = {"base": "quick", "probes": ["missing"], "analyses": []}
    # The doctor sees 32 of the 60 samples; the one that is refused is not among them.
    server.before = refuse
    report = mmaudit.audit(model(), data, out=tmp_path / "run", suite=suite, resamples=20, keep_samples=0)
    table = report.scores
    coverage = table[(table.label == "clean") & (table.metric == "accuracy") & (table.group == "")]
    assert set(coverage.n) <= {59, 60}
    from mmaudit.store import Run

    run = Run.open(tmp_path / "run")
    answered = run.read(run.conditions[0]).answered
    assert np.flatnonzero(~answered).tolist() == [8]
    held = b"".join(p.read_bytes() for p in (tmp_path / "run").rglob("*") if p.is_file())
    assert TOKEN.encode() not in held
    assert b"[token]" in held  # the traceback with what the endpoint said


def test_so_many_requests_at_a_time_and_no_more(server: Server, model: Make) -> None:
    server.pause = 0.02
    found = model(request_rows=1, concurrency=3).predict(batch(12))
    np.testing.assert_array_equal(found, expected(batch(12)).astype(np.float32))
    assert server.most == 3


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"outputs": None}, "outputs is not given"),
        ({"body": "xml"}, "body='xml'"),
        ({"request_rows": 0}, "request_rows=0"),
        ({"timeout": float("inf")}, "timeout=inf"),
        ({"cache": "somewhere"}, "cache= without version="),
        ({"absence": "mask"}, "absence='mask'"),
    ],
)
def test_arguments_that_do_not_fit(options: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        EndpointModel("https://example.org/x", NAMES, **{"outputs": "logits", **options})


def test_answers_are_kept_by_content(server: Server, model: Make, tmp_path: Path) -> None:
    of, twice = batch(100), np.r_[0:100, 0:100]
    options = {"cache": tmp_path, "version": "1"}
    first = model(**options).predict(of.take(twice))
    np.testing.assert_array_equal(first, expected(of).astype(np.float32)[twice])
    different = len({(t, s.tobytes()) for t, s in zip(of.inputs["text"], of.inputs["sensor"], strict=True)})
    assert server.rows == different
    later = model(**options)
    server.requests.clear()
    np.testing.assert_array_equal(later.predict(of), first[:100])
    assert server.rows == ASKED_AGAIN  # only to see whether they still hold
    np.testing.assert_array_equal(later.predict(of.take(np.arange(100)[::-1])), first[:100][::-1])
    assert server.rows == ASKED_AGAIN
    changed = of.replace({"text": np.array(["zzz"] * 100, object)})
    np.testing.assert_array_equal(later.predict(changed), expected(changed).astype(np.float32))
    assert server.rows == ASKED_AGAIN + 100
    model(cache=tmp_path, version="2").predict(of)
    assert server.rows == ASKED_AGAIN + 100 + different


def test_a_model_that_changed_or_is_random_shows(server: Server, model: Make, tmp_path: Path) -> None:
    model(cache=tmp_path, version="1").predict(batch(10))
    server.model = lambda sensor, text: answers(sensor, text) + 0.01
    with pytest.raises(ContractBroken, match="is answered otherwise than before"):
        model(cache=tmp_path, version="1").predict(batch(10))
    rng = np.random.default_rng(0)
    server.model = lambda sensor, text: rng.normal(size=(len(text), 3))
    checks = check_model(model(cache=tmp_path / "other", version="1"), batch(20), Task.classification(3))
    assert any(c.ok is False and "answers at random" in c.message for c in checks)


def test_a_damaged_cache_is_asked_anew(server: Server, model: Make, tmp_path: Path) -> None:
    model(cache=tmp_path, version="1").predict(batch(5))
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    for content in (b"", whole[:50], b"\0" * 200):
        file.write_bytes(content)
        server.requests.clear()
        model(cache=tmp_path, version="1").predict(batch(5))
        assert server.rows == 5
    assert file.read_bytes() == whole  # the same answers make the same file


def test_kept_answers_that_do_not_fit_each_other_are_asked_anew(server: Server, model: Make, tmp_path: Path) -> None:
    before = model(cache=tmp_path, version="1").predict(batch(5))
    (file,) = tmp_path.iterdir()
    with np.load(file) as content:
        keys, rows = content["keys"].reshape(5, -1), content["rows"]
    file.unlink()
    np.savez(tmp_path / "a.npz", keys=keys[:3].ravel(), rows=rows[:3])
    np.savez(tmp_path / "b.npz", keys=keys[3:].ravel(), rows=np.zeros((2, 9), np.float32))
    np.testing.assert_array_equal(model(cache=tmp_path, version="1").predict(batch(5)), before)


def test_a_kept_file_that_would_unpack_or_wait_is_not_opened(server: Server, model: Make, tmp_path: Path) -> None:
    """A packed one is none of its own: 16 MB of zeros in 16 kB. A pipe would be waited for."""
    np.savez_compressed(tmp_path / "a.npz", keys=np.zeros(2**24, np.uint8), rows=np.zeros((2**20, 2), np.float32))
    os.mkfifo(tmp_path / "b.npz")
    server.requests.clear()
    made = model(cache=tmp_path, version="1")
    assert not made._cache._known
    made.predict(batch(5))
    assert server.rows == 5


def test_new_answers_of_another_width_than_kept_ones_are_named(server: Server, model: Make, tmp_path: Path) -> None:
    model(cache=tmp_path, version="1").predict(batch(5).take(slice(0, 3)))
    (file,) = tmp_path.iterdir()
    with np.load(file) as content:
        keys = content["keys"]
    np.savez(file, keys=keys, rows=np.zeros((3, 9), np.float32))
    made = model(cache=tmp_path, version="1")
    made._to_ask_again = 0
    with pytest.raises(ContractBroken, match="or 9 columns; give another cache="):
        made.predict(batch(5))


def test_it_survives_pickling(server: Server, model: Make, tmp_path: Path) -> None:
    one = model(cache=tmp_path, version="1", request_rows=2)
    before = one.predict(batch(5))
    other = pickle.loads(pickle.dumps(one))
    np.testing.assert_array_equal(other.predict(batch(5)), before)
    assert other.fingerprint == one.fingerprint
    other.close()


def test_loading_by_address(server: Server) -> None:
    found = load_model(server.url, modalities=NAMES, outputs="logits")
    np.testing.assert_array_equal(found.predict(batch(2)), expected(batch(2)).astype(np.float32))
    found.close()  # type: ignore[attr-defined]
    with pytest.raises(BadInput, match="readable to everyone"):
        load_model("http://example.org/predict", modalities=NAMES, outputs="logits")
    with pytest.raises(BadInput, match="no torch module"):
        load_model(server.url, modalities=NAMES, outputs="logits", weights="w.pt")

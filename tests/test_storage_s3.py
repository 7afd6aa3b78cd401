"""A run in an object store is the run in a folder: the same bytes, and every command works on its URL."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.object_store import BUCKET, Store, s3_store
from helpers.run_cases import Rowwise, contents, dataset
from mmaudit import Run, audit, compare
from mmaudit.browse.kept import Kept
from mmaudit.browse.library import runs
from mmaudit.errors import BadInput, DamagedRun, StorageFailed
from mmaudit.folder import contributing, write_atomically, writing
from mmaudit.gate import judge, read_policy
from mmaudit.keep import keep_more
from mmaudit.place import place
from mmaudit.predict import predict
from mmaudit.preparing import prepare
from mmaudit.report import Report
from mmaudit.score import score
from mmaudit.types import CLEAN

pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")

SUITE = {"probes": ["missing"], "baselines": ["zero"]}
# They name the folder, or say when and how long.
OF_ITS_OWN = {"run.json", "report.json", "report.html", "timing.json", "findings.json", "gallery.html"}


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    with s3_store() as made:
        yield made


@pytest.fixture(autouse=True)
def sound(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "store" in request.fixturenames:
        request.getfixturevalue("store").fault = None


@pytest.fixture(scope="module")
def both(store: Store, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The same audit, in a folder and in the store."""
    folder, url = tmp_path_factory.mktemp("local") / "run", f"s3://{BUCKET}/team/run"
    for out in (folder, url):
        audit(Rowwise("regression"), dataset("regression", n=60), out=out, suite=SUITE, resamples=10, keep_samples=3)
    return folder, url


def remote_contents(url: str) -> dict[str, bytes]:
    base = place(url)
    return {str(p)[len(str(base)) + 1 :]: p.read_bytes() for p in base.rglob("*") if p.is_file()}


def copied(folder: Path, url: str) -> str:
    """The folder's files put into the store, by no code of mmaudit."""
    boto3 = pytest.importorskip("boto3")
    client = boto3.client("s3")
    for name, content in contents(folder).items():
        client.put_object(Bucket=BUCKET, Key=f"{url.removeprefix(f's3://{BUCKET}/')}/{name}", Body=content)
    client.close()
    return url


def predict_again(url: str) -> Rowwise:
    """Make what the run lacks, without scoring it again."""
    model, data = Rowwise("regression"), dataset("regression", n=60)
    prepared = prepare(model, data, suite=SUITE, out=url)
    model.calls.clear()
    with writing(url):
        run = prepared.open_run(url, batch_rows=None, title=None, command="")
        predict(run, data, prepared.model, prepared.source, stage=prepared.stage)
    return model


def test_the_store_holds_the_bytes_of_the_folder(both: tuple[Path, str]) -> None:
    here, there = contents(both[0]), remote_contents(both[1])
    assert set(here) == set(there) - {"timing.json"}  # `contents` leaves it out
    assert [name for name in here if name not in OF_ITS_OWN and here[name] != there[name]] == []
    assert "predictions" in {name.split("/")[0] for name in here}


def test_a_run_that_was_copied_there_reads_the_same(both: tuple[Path, str]) -> None:
    here, there = Run.open(both[0]), Run.open(copied(both[0], f"s3://{BUCKET}/copies/run"))
    assert there.header == here.header
    for condition in here.conditions:
        np.testing.assert_array_equal(there.read(condition).outputs, here.read(condition).outputs)
    np.testing.assert_array_equal(there.samples.ids, here.samples.ids)


def test_a_second_audit_on_the_url_asks_the_model_for_nothing_it_has(both: tuple[Path, str]) -> None:
    before = remote_contents(both[1])
    assert not predict_again(both[1]).calls
    assert remote_contents(both[1]) == before


def test_score_report_compare_gate_and_keep_take_a_url(both: tuple[Path, str], tmp_path: Path) -> None:
    folder, url = both
    assert repr(score(Run.open(url), resamples=10)) == repr(score(Run.open(folder), resamples=10))
    report = Report.read(url)
    assert [f.id for f in report.findings] == [f.id for f in Report.read(folder).findings]
    page = report.to_html(f"{url}/pages/again.html")
    assert str(page) == f"{url}/pages/again.html"
    assert "<html" in page.read_text(encoding="utf-8")

    found = compare(folder, url)
    assert {row.delta for row in found.rows if row.delta == row.delta} == {0.0}
    assert str(found.to_json(f"{url}/comparison.json")) == f"{url}/comparison.json"

    policy = tmp_path / "policy.toml"
    policy.write_text('[[require]]\nname = "error"\ncondition = "clean"\nmetric = "mae"\nmax = 1000.0\n')
    verdict = judge(url, read_policy(policy))
    assert verdict.outcome == judge(folder, read_policy(policy)).outcome
    assert verdict.outcome != "undecided"

    kept = Kept(url)
    assert kept.positions() == Kept(folder).positions()
    assert [s.original for s in kept.sides(kept.positions()[0])] == [
        s.original for s in Kept(folder).sides(kept.positions()[0])
    ]
    assert set(keep_more(url, dataset("regression", n=60), samples=["59"]).positions()) == {*kept.positions(), 59}


def test_commands_take_a_url_though_pathlib_takes_a_slash_of_it(
    both: tuple[Path, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from typer.testing import CliRunner

    from mmaudit.cli import app

    monkeypatch.chdir(tmp_path)
    url = both[1]
    said = CliRunner().invoke(app, ["score", url, "--resamples", "10", "--json"])
    assert said.exit_code == 0, said.output
    assert json.loads(said.stdout)
    said = CliRunner().invoke(app, ["report", url])
    assert said.exit_code == 0, said.output
    assert f"{url}/report.html" in said.stdout
    assert f"{url}/run.json" not in said.stdout
    said = CliRunner().invoke(app, ["compare", str(both[0]), url, "--html", f"{url}/comparison.html"])
    assert said.exit_code == 0, said.output
    assert place(f"{url}/comparison.html").is_file()
    with pytest.raises(BadInput, match="folders of this machine"):
        CliRunner().invoke(app, ["dashboard", url], catch_exceptions=False)
    assert list(tmp_path.iterdir()) == []  # no folder called `s3:`


def test_the_dashboard_refuses_a_store_in_one_sentence(both: tuple[Path, str]) -> None:
    with pytest.raises(BadInput, match="folders of this machine"):
        runs(both[1])


# ---- a store that fails


def test_a_store_that_stumbles_now_and_then_costs_nothing(store: Store, both: tuple[Path, str]) -> None:
    seen: set[tuple[str, str]] = set()

    def first_time(method: str, path: str) -> int:
        """Every request fails once; what is asked again is answered."""
        known = (method, path) in seen
        seen.add((method, path))
        return 0 if known else 503

    here = Run.open(both[0])
    store.fault = first_time
    run = Run.create(f"s3://{BUCKET}/team/stumbling", here.header, here.samples)
    run.write_shard(0, 0, [here.read(c) for c in here.conditions])
    found = Run.open(run.folder).read(CLEAN)
    assert {method for method, _ in seen} == {"PUT", "HEAD", "GET"}
    np.testing.assert_array_equal(found.outputs, here.read(CLEAN).outputs)


@pytest.mark.parametrize("method", ["PUT", "GET", "HEAD"])
def test_a_store_that_refuses_is_an_error_and_never_an_absent_run(
    store: Store, both: tuple[Path, str], method: str
) -> None:
    before = remote_contents(both[1])
    store.fault = lambda asked, path: 403 if asked == method else 0
    model = Rowwise("regression")
    with pytest.raises((StorageFailed, BadInput), match=r"cannot be (read|written|listed)"):
        audit(
            model,
            dataset("regression", n=60),
            out=both[1],
            suite={"probes": ["missing"], "baselines": ["zero", "mean"]},
        )
    store.fault = None
    after = remote_contents(both[1])
    assert {n: c for n, c in after.items() if n.startswith("predictions/")} == {
        n: c for n, c in before.items() if n.startswith("predictions/")
    }
    assert Run.open(both[1]).increments == Run.open(both[0]).increments


def test_no_bucket_no_server_no_run(store: Store, both: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadInput, match=r"s3://no-such-bucket/run cannot be written"):
        audit(
            Rowwise("regression"), dataset("regression", n=60), out="s3://no-such-bucket/run", suite=SUITE, resamples=10
        )
    with pytest.raises(BadInput, match=r"s3://audits/nothing is not a run folder"):
        Run.open(f"s3://{BUCKET}/nothing")
    s3fs = pytest.importorskip("s3fs")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(StorageFailed, match=r"s3://audits/team/run/run\.json cannot be read: .*Check the address"):
        Run.open(both[1])
    s3fs.S3FileSystem.clear_instance_cache()


def test_a_truncated_object_is_made_again(both: tuple[Path, str], tmp_path: Path) -> None:
    shutil.copytree(both[0], tmp_path / "run")
    shard = next((tmp_path / "run" / "predictions").iterdir())
    whole = shard.read_bytes()
    shard.write_bytes(whole[: len(whole) // 2])
    url = copied(tmp_path / "run", f"s3://{BUCKET}/team/cut")
    with pytest.raises(DamagedRun, match="Audit again"):
        Run.open(url).read(CLEAN)
    predict_again(url)
    assert place(f"{url}/predictions/{shard.name}").read_bytes() == whole


def test_an_upload_that_arrives_short_is_said(monkeypatch: pytest.MonkeyPatch, store: Store) -> None:
    path: Any = place(f"s3://{BUCKET}/short.json")
    send = path.fs.pipe_file
    monkeypatch.setattr(path.fs, "pipe_file", lambda name, content: send(name, content[:-3]))
    with pytest.raises(StorageFailed, match="7 of 10 bytes"):
        write_atomically(path, b"0123456789")


def test_nobody_holds_a_store_and_workers_need_a_run_there(both: tuple[Path, str]) -> None:
    with writing(both[1]), contributing(both[1]), writing(both[1]):
        pass
    with pytest.raises(BadInput, match="plan the run first"), contributing(f"s3://{BUCKET}/nothing"):
        pass


def test_a_condition_of_a_shard_costs_two_requests(store: Store, both: tuple[Path, str]) -> None:
    run = Run.open(both[1])
    run.read(CLEAN)  # the footers are known from here on
    store.asked.clear()
    for condition in run.conditions:
        run.read(condition)
    assert sum(store.asked.values()) <= 2 * len(run.conditions) * len(run.shards())

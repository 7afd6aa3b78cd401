"""Loaders of public sets: tiny files in exactly the layout that the publishers ship."""

from __future__ import annotations

import hashlib
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.cli_cases import Command
from helpers.media_folder import pictures, png, sounds, wav
from helpers.mosi_files import mmsa, write_mmsa
from mmaudit.data import PUBLIC, check, read, read_public, verify_public
from mmaudit.data.public.mm_imdb import GENRES
from mmaudit.errors import BadInput, UnknownName
from mmaudit.types import Array

RNG = np.random.default_rng(21)


# ---- Hateful Memes


def hateful_memes(folder: Path) -> Path:
    (folder / "img").mkdir(parents=True)
    lines = {"dev_seen": [], "test_seen": []}
    for i, pixels in enumerate(pictures()):
        name = f"img/{10_000 + i:05d}.png"
        (folder / name).write_bytes(png(pixels))
        lines["dev_seen" if i < 4 else "test_seen"].append(
            json.dumps({"id": 10_000 + i, "img": name, "label": i % 2, "text": f"its their character {i}"})
        )
    for split, text in lines.items():
        (folder / f"{split}.jsonl").write_text("\n".join(text), encoding="utf-8")
    (folder / "test.jsonl").write_text('{"id": 16395, "img": "img/10000.png", "text": "no label"}\n', encoding="utf-8")
    return folder


def test_hateful_memes(tmp_path: Path) -> None:
    data = read_public("hateful_memes", hateful_memes(tmp_path / "data").parent, split="test_seen")
    check(data)
    assert data.ids.tolist() == [10_004, 10_005, 10_006, 10_007]
    assert data.task.names == ("not hateful", "hateful")
    batch = data.rows(np.array([2]))
    np.testing.assert_array_equal(batch.inputs["image"][0], pictures()[6])
    assert batch.inputs["text"].tolist() == ["its their character 6"]
    with pytest.raises(BadInput, match="label"):
        read_public("hateful_memes", tmp_path / "data", split="test")
    with pytest.raises(BadInput, match=r"train\.jsonl.*hatefulmemeschallenge"):
        read_public("hateful_memes", tmp_path / "data", split="train")


# ---- MM-IMDb


def test_mm_imdb(tmp_path: Path) -> None:
    (tmp_path / "dataset").mkdir()
    films = {
        "0012349": {"genres": ["Comedy", "Drama"], "plot": ["short", "the longest plot"]},
        "0027977": {"genres": ["Drama", "News"], "plot": ["a factory worker"]},
        "0120737": {"genres": ["Fantasy"], "plot": ["a ring"], "title": "…"},
    }
    for i, (film, record) in enumerate(films.items()):
        (tmp_path / "dataset" / f"{film}.json").write_text(json.dumps(record), encoding="utf-8")
        (tmp_path / "dataset" / f"{film}.jpeg").write_bytes(png(pictures()[i]))
    splits = {"train": [], "dev": [], "test": list(films)}
    (tmp_path / "split.json").write_text(json.dumps(splits), encoding="utf-8")
    data = read_public("mm_imdb", tmp_path)
    check(data)
    assert data.ids.tolist() == list(films)
    assert data.rows(np.array([0])).inputs["text"].tolist() == ["the longest plot"]
    labels = [{GENRES[k] for k in np.flatnonzero(row)} for row in data.target]
    assert labels == [{"Comedy", "Drama"}, {"Drama"}, {"Fantasy"}]
    assert len(set(GENRES)) == 23  # as the paper counts them
    for name in ("../../etc/x", "/etc/passwd"):
        (tmp_path / "split.json").write_text(json.dumps({"test": [name]}), encoding="utf-8")
        with pytest.raises(BadInput, match="leads out"):
            read_public("mm_imdb", tmp_path)
    (tmp_path / "split.json").write_text(json.dumps(splits), encoding="utf-8")
    (tmp_path / "dataset" / "0120737.json").write_text('{"genres": [["Fantasy"]], "plot": []}', encoding="utf-8")
    with pytest.raises(BadInput, match=r"0120737\.json is not as published"):
        read_public("mm_imdb", tmp_path)


# ---- AV-MNIST


def test_av_mnist(tmp_path: Path) -> None:
    image, audio = RNG.integers(0, 256, (6, 784)).astype(float), RNG.integers(0, 256, (6, 112, 112), dtype=np.uint8)
    for name, values in (("image", image), ("audio", audio)):
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / "test_data.npy", values)
    np.save(tmp_path / "test_labels.npy", np.array([7.0, 2, 1, 0, 4, 1]))
    data = read_public("av_mnist", tmp_path, split="test")
    check(data)
    assert data.target.tolist() == [7, 2, 1, 0, 4, 1]
    batch = data.rows(np.array([5, 0]))
    np.testing.assert_array_equal(batch.inputs["image"], image.reshape(6, 28, 28)[[5, 0]])
    np.testing.assert_array_equal(batch.inputs["audio"], audio[[5, 0]])
    with pytest.raises(BadInput, match=r"image/train_data\.npy.*Get it: "):
        read_public("av_mnist", tmp_path, split="train")


@pytest.mark.parametrize("values", [np.zeros(6, [("f0", "<f4")]), np.array(["7"] * 6), np.zeros(6, "V8")])
def test_arrays_of_something_else_than_numbers_are_named(tmp_path: Path, values: Array) -> None:
    for name, shape in (("image", (6, 784)), ("audio", (6, 112, 112))):
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / "test_data.npy", np.zeros(shape, np.uint8))
    np.save(tmp_path / "test_labels.npy", values)
    with pytest.raises(BadInput, match=r"test_labels\.npy' holds values of type .*, where numbers belong"):
        read_public("av_mnist", tmp_path)


def test_av_mnist_splits_are_those_of_multibench(tmp_path: Path) -> None:
    n = 55_003
    labels = np.arange(n) % 10
    (tmp_path / "image").mkdir()
    np.save(tmp_path / "image" / "train_data.npy", np.zeros((n, 784), np.uint8))
    np.save(tmp_path / "train_labels.npy", labels)
    valid = read_public("av_mnist", tmp_path, split="valid", modalities=["image"])
    assert valid.ids.tolist() == [55_000, 55_001, 55_002]
    assert len(read_public("av_mnist", tmp_path, split="train", modalities=["image"])) == 55_000


# ---- Symile-MIMIC


def symile(folder: Path, queries: int = 4, candidates: int = 3) -> dict[str, Array]:
    """`test/` as PhysioNet ships it: a row per query and candidate; smaller pictures and signals."""
    own = np.array([20_000_000 + 7 * i for i in range(queries)])
    pick = [[q, *((q + k) % queries for k in range(1, candidates))] for q in range(queries)]
    flat = np.array(pick).ravel()
    order = np.random.default_rng(0).permutation(len(flat))
    asked = np.repeat(own, candidates)[order]
    of = {
        "cxr": RNG.uniform(-2, 2, (queries, 3, 8, 8)).astype(np.float32),
        "ecg": RNG.uniform(-1, 1, (queries, 1, 50, 12)).astype(np.float32),
        "labs_percentiles": RNG.uniform(size=(queries, 50)).astype(np.float32),
        "labs_missingness": RNG.integers(0, 2, (queries, 50)),
        "hadm_id": own,
    }
    place = folder / "data_npy" / "test"
    place.mkdir(parents=True)
    for name, values in of.items():
        np.save(place / f"{name}_test.npy", values[flat[order]])
    np.save(place / "label_hadm_id_test.npy", asked)
    np.save(place / "label_test.npy", (own[flat[order]] == asked).astype(np.int64))
    return {**of, "pick": np.array(pick)}


def test_symile_mimic(tmp_path: Path) -> None:
    of = symile(tmp_path)
    data = read_public("symile_mimic", tmp_path)
    check(data)
    assert data.task.said == "retrieval of cxr given ecg and labs"
    assert sorted(data.ids.tolist()) == of["hadm_id"].tolist()
    place = {int(x): i for i, x in enumerate(of["hadm_id"])}
    rows = [place[int(x)] for x in data.ids]
    batch = data.rows(np.arange(4))
    np.testing.assert_array_equal(batch.inputs["cxr"], of["cxr"][rows])
    np.testing.assert_array_equal(batch.inputs["ecg"], of["ecg"][rows, 0])
    np.testing.assert_array_equal(batch.inputs["labs"][:, :50], of["labs_percentiles"][rows])
    np.testing.assert_array_equal(batch.inputs["labs"][:, 50:], of["labs_missingness"][rows])
    for position, row in enumerate(rows):
        listed = {int(data.ids[c]) for c in data.candidates[position]}  # type: ignore[attr-defined]
        assert listed == {int(of["hadm_id"][c]) for c in of["pick"][row]}


def test_physionet_checksums_travel_with_the_files(tmp_path: Path) -> None:
    symile(tmp_path)
    files = sorted(tmp_path.rglob("*.npy"))
    lines = [f"{hashlib.sha256(x.read_bytes()).hexdigest()} {x.relative_to(tmp_path)}" for x in files]
    (tmp_path / "SHA256SUMS.txt").write_text("\n".join([*lines, "0" * 64 + " train.csv"]) + "\n", encoding="utf-8")
    assert len(verify_public("symile_mimic", tmp_path)) == len(files)  # train.csv was not fetched
    long = f"{'0' * 64} {'x' * 300}.npy\n"
    (tmp_path / "SHA256SUMS.txt").write_text(long, encoding="utf-8")
    with pytest.raises(BadInput, match="cannot be looked at"):
        verify_public("symile_mimic", tmp_path)
    (tmp_path / "data_npy" / "link.npy").symlink_to("/etc/passwd")
    (tmp_path / "SHA256SUMS.txt").write_text(f"{'0' * 64} data_npy/link.npy\n", encoding="utf-8")
    with pytest.raises(BadInput, match="leads out"):
        verify_public("symile_mimic", tmp_path)
    (tmp_path / "SHA256SUMS.txt").write_text("\n".join([*lines, "0" * 64 + " train.csv"]) + "\n", encoding="utf-8")
    content = bytearray(files[3].read_bytes())
    content[-1] ^= 1
    files[3].write_bytes(bytes(content))
    with pytest.raises(BadInput, match=files[3].name):
        verify_public("symile_mimic", tmp_path)


def test_a_copy_is_verified_from_the_shell(tmp_path: Path, mmaudit: Command) -> None:
    symile(tmp_path)
    files = sorted(tmp_path.rglob("*.npy"))
    lines = [f"{hashlib.sha256(x.read_bytes()).hexdigest()} {x.relative_to(tmp_path)}" for x in files]
    (tmp_path / "SHA256SUMS.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    said = mmaudit("verify-public", f"symile_mimic:{tmp_path}")
    assert said.code == 0
    assert said.out.splitlines()[0].split() == ["as", "published", *lines[0].split()]
    assert len(mmaudit("verify-public", f"symile_mimic:{tmp_path}", "--json").json) == len(files)
    files[0].write_bytes(b"another")
    assert mmaudit("verify-public", f"symile_mimic:{tmp_path}").code == 2
    assert "names no folder" in mmaudit("verify-public", "mustard").err
    assert "does not exist" in mmaudit("verify-public", f"mustard:{tmp_path / 'nowhere'}").err


@pytest.mark.parametrize(
    ("name", "said"),
    [("labs_missingness", "do not fit its hadm_id"), ("cxr", r"has \d+ rows, fewer than"), ("ecg", "fewer than")],
)
def test_arrays_of_fewer_rows_than_samples_are_named(tmp_path: Path, name: str, said: str) -> None:
    symile(tmp_path)
    file = tmp_path / "data_npy" / "test" / f"{name}_test.npy"
    np.save(file, np.load(file)[:5])
    with pytest.raises(BadInput, match=said):
        read_public("symile_mimic", tmp_path)


# ---- CREMA-D


def test_crema_d(tmp_path: Path) -> None:
    pytest.importorskip("soundfile")
    (tmp_path / "AudioWAV").mkdir()
    names = ["1001_DFA_ANG_XX", "1001_IEO_SAD_HI", "1002_DFA_HAP_XX", "1040_ITH_SAD_X"]
    for name, wave in zip(names, sounds(), strict=False):
        (tmp_path / "AudioWAV" / f"{name}.wav").write_bytes(wav(wave, 16_000))
    people = '"ActorID","Age","Sex","Race","Ethnicity"\n1001,51,"Male","Caucasian","Not Hispanic"\n'
    (tmp_path / "VideoDemographics.csv").write_text(
        people + '1002,21,"Female","Asian","Not Hispanic"\n', encoding="utf-8"
    )
    data = read_public("crema_d", tmp_path)
    check(data)
    assert data.ids.tolist() == names
    assert [data.task.names[x] for x in data.target] == ["anger", "sad", "happy", "sad"]
    assert data.groups["sex"].tolist() == ["Male", "Male", "Female", "(missing)"]
    assert data.groups["level"].tolist() == ["XX", "HI", "XX", "XX"]
    assert data.cluster is not None
    assert data.cluster.tolist() == ["1001", "1001", "1002", "1040"]
    np.testing.assert_array_equal(data.rows(np.array([1])).inputs["audio"][0], sounds()[1])
    for i in range(3):
        place = tmp_path / "Frames" / names[0]
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{i + 1:03d}.png").write_bytes(png(pictures()[i]))
    both = read_public("crema_d", tmp_path)
    assert both.presence("image").tolist() == [True, False, False, False]
    np.testing.assert_array_equal(both.rows(np.array([0])).inputs["image"][0], pictures()[1])
    (tmp_path / "AudioWAV" / "notes.wav").write_bytes(b"")
    with pytest.raises(BadInput, match="notes"):
        read_public("crema_d", tmp_path)


# ---- MUStARD


def mustard(folder: Path) -> dict[str, Any]:
    table = {
        "1_60": {
            "utterance": "It's just a privilege to watch your mind at work.",
            "speaker": "SHELDON",
            "context": ["I never would have identified the fingerprints.", "My apologies. What's your plan?"],
            "context_speakers": ["LEONARD", "SHELDON"],
            "show": "BBT",
            "sarcasm": True,
        },
        "2_9": {
            "utterance": "No.",
            "speaker": "CHANDLER",
            "context": [],
            "context_speakers": [],
            "show": "FRIENDS",
            "sarcasm": False,
        },
        "2_10": {
            "utterance": "Oh, great.",
            "speaker": "CHANDLER",
            "context": ["Look!"],
            "context_speakers": ["ROSS"],
            "show": "FRIENDS",
            "sarcasm": True,
        },
    }
    (folder / "data").mkdir()
    (folder / "data" / "sarcasm_data.json").write_text(json.dumps(table), encoding="utf-8")
    return table


def test_mustard(tmp_path: Path) -> None:
    table = mustard(tmp_path)
    data = read_public("mustard", tmp_path)
    check(data)
    assert [m.name for m in data.modalities] == ["text", "context"]
    assert data.ids.tolist() == list(table)
    assert data.target.tolist() == [1, 0, 1]
    assert data.presence("context").tolist() == [True, False, True]
    assert data.rows(np.array([0])).inputs["context"][0].count("\n") == 1
    test = read_public("mustard", tmp_path, split="speaker_independent_test")
    assert test.ids.tolist() == ["2_9", "2_10"]
    with pytest.raises(BadInput, match="resnet_pool5"):
        read_public("mustard", tmp_path, modalities=["text", "visual"])


def test_mustard_features(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    mustard(tmp_path)
    place = tmp_path / "data" / "features" / "utterances_final"
    place.mkdir(parents=True)
    frames = {"1_60": RNG.normal(size=(4, 16)), "2_10": RNG.normal(size=(7, 16))}
    with h5py.File(place / "resnet_pool5.hdf5", "w") as file:
        for key, values in frames.items():
            file[key] = values.astype(np.float32)
    data = read_public("mustard", tmp_path)
    check(data)
    assert data.presence("visual").tolist() == [True, False, True]
    np.testing.assert_array_equal(data.rows(np.array([2])).inputs["visual"][0], frames["2_10"].astype(np.float32))
    assert pickle.loads(pickle.dumps(data)).fingerprint == data.fingerprint
    with h5py.File(place / "resnet_pool5.hdf5", "a") as file:
        file["2_9"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "x")
    with pytest.raises(BadInput, match="is a link"):
        read_public("mustard", tmp_path)


# ---- what all have in common


def test_where_to_get_them(tmp_path: Path) -> None:
    for name, public in PUBLIC.items():
        with pytest.raises(BadInput, match="Get it: ") as caught:
            read_public(name, tmp_path)
        assert public.source in str(caught.value)
        assert public.title in str(caught.value)
        with pytest.raises(BadInput, match="has no split 'nope'"):
            read_public(name, tmp_path, split="nope")
        with pytest.raises(BadInput, match="does not exist"):
            read_public(name, tmp_path / "nowhere")
    with pytest.raises(UnknownName, match="did you mean 'hateful_memes'"):
        read_public("hateful_meme", tmp_path)


def test_published_checksums(tmp_path: Path) -> None:
    for name, public in PUBLIC.items():
        assert all(len(x) == 64 and set(x) <= set("0123456789abcdef") for d in public.checksums.values() for x in d)
        if not public.checksums:
            with pytest.raises(BadInput, match="cannot be verified"):
                verify_public(name, tmp_path)
    write_mmsa(tmp_path, {"test": mmsa()})
    with pytest.raises(BadInput, match="78e0f8b5"):
        verify_public("cmu_mosi", tmp_path)
    (tmp_path / "memes.zip").write_bytes(b"not the zip")
    with pytest.raises(BadInput, match=r"memes\.zip has SHA-256 [0-9a-f]{64}, but d8f1073f"):
        verify_public("hateful_memes", tmp_path)


def test_a_public_set_by_one_text(tmp_path: Path) -> None:
    mustard(tmp_path)
    data = read(f"mustard:{tmp_path}", split="speaker_independent_test", kinds={"text": "text"})
    assert [m.name for m in data.modalities] == ["text"]
    assert len(data) == 2

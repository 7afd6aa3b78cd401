"""Loaders of public sets: tiny files in exactly the layout that the publishers ship."""

from __future__ import annotations

import contextlib
import hashlib
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.media_folder import pictures, png, sounds, wav
from mmaudit.data import PUBLIC, check, read, read_public, verify_public
from mmaudit.data.public.mm_imdb import GENRES
from mmaudit.data.public.numbers_only import load_numbers
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
    (tmp_path / "split.json").write_text(json.dumps({"test": ["../../etc/x"]}), encoding="utf-8")
    with pytest.raises(BadInput, match="leads out"):
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
    content = bytearray(files[3].read_bytes())
    content[-1] ^= 1
    files[3].write_bytes(bytes(content))
    with pytest.raises(BadInput, match=files[3].name):
        verify_public("symile_mimic", tmp_path)


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


# ---- CMU-MOSI and CMU-MOSEI


def mmsa(n: int = 5) -> dict[str, Any]:
    audio = RNG.normal(size=(n, 6, 5))
    audio[1, 2, 3] = -np.inf
    return {
        "raw_text": np.array([f"WORDS {i}" for i in range(n)], dtype=object),
        "text": RNG.normal(size=(n, 6, 8)).astype(np.float32),
        "audio": audio,
        "vision": RNG.normal(size=(n, 6, 4)),
        "id": [f"vid{i // 2}$_${i}" for i in range(n)],
        "regression_labels": np.linspace(-3, 3, n).astype(np.float32),
        "annotations": ["Negative"] * n,
    }


def write_mmsa(folder: Path, content: Any) -> Path:
    (folder / "Processed").mkdir(parents=True, exist_ok=True)
    (folder / "Processed" / "unaligned_50.pkl").write_bytes(pickle.dumps(content, protocol=4))
    return folder


@pytest.mark.parametrize("name", ["cmu_mosi", "cmu_mosei"])
def test_mmsa_features_need_trust(tmp_path: Path, name: str) -> None:
    part = mmsa()
    write_mmsa(tmp_path, {"train": mmsa(), "valid": mmsa(), "test": part})
    with pytest.raises(BadInput, match="--trust"):
        read_public(name, tmp_path)
    data = read_public(name, tmp_path, trust=True)
    check(data)
    assert [m.name for m in data.modalities] == ["text_features", "audio", "vision"]
    np.testing.assert_array_equal(data.target[:, 0], part["regression_labels"].astype(float))
    batch = data.rows(np.array([1, 4]))
    np.testing.assert_array_equal(batch.inputs["vision"], part["vision"][[1, 4]].astype(np.float32))
    assert batch.inputs["audio"][0, 2, 3] == 0  # silence in COVAREP
    assert data.cluster is not None
    assert data.cluster.tolist() == ["vid0", "vid0", "vid1", "vid1", "vid2"]
    words = read_public(name, tmp_path, trust=True, modalities=["text"])
    assert words.rows(np.array([3])).inputs["text"].tolist() == ["WORDS 3"]


class Runs:
    def __reduce__(self) -> Any:
        return (pytest.fail, ("unpickled",))


def test_even_with_trust_only_numbers_are_built(tmp_path: Path) -> None:
    for content in ({"test": Runs()}, {"test": {**mmsa(), "id": [Path("x")]}}):
        write_mmsa(tmp_path, content)
        with pytest.raises(BadInput, match="neither a number"):
            read_public("cmu_mosi", tmp_path, trust=True)
    (tmp_path / "Processed" / "unaligned_50.pkl").write_bytes(b"\x80\x04damaged")
    with pytest.raises(BadInput, match="not a readable pickle"):
        read_public("cmu_mosi", tmp_path, trust=True)


def test_a_forged_array_state_reaches_no_array(tmp_path: Path) -> None:
    """NumPy itself crashes on types whose flags were changed; the stand-ins never look at these."""
    whole = pickle.dumps({"test": mmsa()}, protocol=2)
    for place in range(0, len(whole), 97):
        forged = bytearray(whole)
        forged[place] ^= 0x55
        write_mmsa(tmp_path, None)
        (tmp_path / "Processed" / "unaligned_50.pkl").write_bytes(bytes(forged))
        with contextlib.suppress(BadInput):
            read_public("cmu_mosi", tmp_path, trust=True)


@pytest.mark.parametrize("protocol", range(6))
def test_numbers_of_every_protocol_come_back(tmp_path: Path, protocol: int) -> None:
    held = {
        "c": RNG.normal(size=(3, 4)),
        "f": np.asfortranarray(RNG.normal(size=(3, 4)).astype(np.float32)),
        "big": np.arange(5, dtype=">i4"),
        "words": np.array(["a", "שלום"], dtype=object),
        "fixed": np.array(["ab", "c"]),
        "one": np.float64(2.5),
        "list": [1, 2.0, "x", None],
    }
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(held, protocol=protocol))
    found = load_numbers(tmp_path / "x.pkl")
    for name, values in held.items():
        np.testing.assert_array_equal(found[name], values)


def write_csd(folder: Path) -> dict[str, Any]:
    """Two videos with three and one segments, in the layout of the SDK: `<root>/data/<video>/{features,intervals}`."""
    h5py = pytest.importorskip("h5py")

    def sequence(name: str, root: str, entries: dict[str, tuple[Any, Any]]) -> None:
        with h5py.File(folder / name, "w") as file:
            for video, (features, intervals) in entries.items():
                group = file.create_group(f"{root}/data/{video}")
                group["features"], group["intervals"] = features, np.asarray(intervals, float)
            file.create_group(f"{root}/metadata")

    labels = {"v_a": ([[1.5], [-2.0], [0.4]], [[0, 2], [2, 4], [8, 9]]), "v_b": ([[3.0]], [[0, 1]])}
    sequence("CMU_MOSI_Opinion_Labels.csd", "Opinion Segment Labels", labels)
    words = [["i"], ["sp"], ["liked"], ["it"], ["not"]]
    spans = [[0.0, 0.5], [0.5, 0.7], [0.7, 2.0], [2.0, 2.5], [2.5, 3.9]]
    sequence("CMU_MOSI_TimestampedWords.csd", "words", {"v_a": (np.array(words, "S32"), spans)})
    audio = np.arange(45 * 3, dtype=float).reshape(45, 3)
    audio[4] = -np.inf
    times = np.stack([np.arange(45) / 10, np.arange(1, 46) / 10], axis=1)
    sequence("CMU_MOSI_COVAREP.csd", "COVAREP", {"v_a": (audio, times), "v_b": (audio[:12], times[:12])})
    folds = "standard_train_fold = ['x']\nstandard_test_fold = ['v_a', 'v_b', 'withdrawn']\nraise SystemExit('run')\n"
    (folder / "cmu_mosi_std_folds.py").write_text(folds, encoding="utf-8")
    return {"audio": audio}


def test_computational_sequences(tmp_path: Path) -> None:
    found = write_csd(tmp_path)
    data = read_public("cmu_mosi", tmp_path, modalities=["text", "audio"])
    check(data)
    assert data.ids.tolist() == ["v_a[0]", "v_a[1]", "v_a[2]", "v_b[0]"]
    assert data.target[:, 0].tolist() == [1.5, -2.0, 0.4, 3.0]
    assert data.presence("text").tolist() == [True, True, False, False]
    assert data.presence("audio").tolist() == [True, True, False, True]
    batch = data.rows(np.array([0, 1, 3]))
    assert batch.inputs["text"].tolist() == ["i liked", "it not", ""]
    expected = np.where(np.isneginf(found["audio"]), 0, found["audio"]).astype(np.float32)
    for row, entries in ((0, slice(0, 20)), (1, slice(20, 40)), (2, slice(0, 10))):
        np.testing.assert_array_equal(batch.inputs["audio"][row], expected[entries])
    with pytest.raises(BadInput, match=r"Facet|none of the videos"):
        read_public("cmu_mosi", tmp_path, split="train")


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

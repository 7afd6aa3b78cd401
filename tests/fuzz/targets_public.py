"""Targets of public sets and of Hugging Face data sets: a sound folder in which one file is the input."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fuzz.target import Ready, Target, replace
from fuzz.targets_readers import _picture, _sound

N = 6
RNG = np.random.default_rng(21)
_FINAL = "data/features/utterances_final"


def _used(data: Any) -> None:
    data.fingerprint  # noqa: B018  (worked out when asked for)
    if len(data):
        data.rows(np.arange(min(len(data), 3)))


def _public(name: str, file: str, make: Callable[[Path], None], **options: Any) -> Callable[[Path], Ready]:
    """A public set of which one file is the input."""

    def prepare(folder: Path) -> Ready:
        from mmaudit.data import read_public

        place = folder / "set"
        place.mkdir()
        make(place)
        path = place / file

        def read(data: bytes) -> None:
            replace(path, data)
            _used(read_public(name, place, **options))

        return Ready(read, (path.read_bytes(),))

    return prepare


def _hateful_memes(place: Path) -> None:
    (place / "img").mkdir()
    (place / "img" / "1.png").write_bytes(_picture())
    rows = [{"id": 10_000 + i, "img": "img/1.png", "label": i % 2, "text": f"word {i}"} for i in range(N)]
    (place / "dev_seen.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def _mm_imdb(place: Path) -> None:
    (place / "dataset").mkdir()
    films = {
        "0012349": {"genres": ["Comedy", "Drama"], "plot": ["short", "the longest plot"]},
        "0027977": {"genres": ["Drama", "News"], "plot": ["a factory worker"], "title": "…"},
    }
    for film, record in films.items():
        (place / "dataset" / f"{film}.json").write_text(json.dumps(record), encoding="utf-8")
        (place / "dataset" / f"{film}.jpeg").write_bytes(_picture("JPEG"))
    (place / "split.json").write_text(json.dumps({"train": [], "test": list(films)}), encoding="utf-8")


def _av_mnist(place: Path) -> None:
    for name, shape in (("image", (N, 784)), ("audio", (N, 112, 112))):
        (place / name).mkdir()
        np.save(place / name / "test_data.npy", np.ones(shape, np.uint8))
    np.save(place / "test_labels.npy", np.arange(N) % 10)


def _symile(place: Path) -> None:
    own = np.array([20_000_000 + 7 * i for i in range(N)])
    flat = np.array([[q, (q + 1) % N, (q + 2) % N] for q in range(N)]).ravel()
    of = {
        "cxr": RNG.uniform(-2, 2, (N, 3, 4, 4)).astype(np.float32),
        "ecg": RNG.uniform(-1, 1, (N, 1, 5, 12)).astype(np.float32),
        "labs_percentiles": RNG.uniform(size=(N, 5)).astype(np.float32),
        "labs_missingness": RNG.integers(0, 2, (N, 5)),
        "hadm_id": own,
    }
    base = place / "data_npy" / "test"
    base.mkdir(parents=True)
    for name, values in of.items():
        np.save(base / f"{name}_test.npy", values[flat])
    asked = np.repeat(own, 3)
    np.save(base / "label_hadm_id_test.npy", asked)
    np.save(base / "label_test.npy", (own[flat] == asked).astype(np.int64))


def _crema_d(place: Path) -> None:
    (place / "AudioWAV").mkdir()
    for name in ("1001_DFA_ANG_XX", "1001_IEO_SAD_HI", "1002_DFA_HAP_XX", "1040_ITH_SAD_X"):
        (place / "AudioWAV" / f"{name}.wav").write_bytes(_sound())
    people = '"ActorID","Age","Sex","Race","Ethnicity"\n1001,51,"Male","Caucasian","Not Hispanic"\n'
    (place / "VideoDemographics.csv").write_text(people + '1002,21,"Female","Asian","Not Hispanic"\n', encoding="utf-8")


def _mustard(place: Path) -> None:
    table = {
        "1_60": {"utterance": "Fine.", "speaker": "SHELDON", "context": ["I", "My"], "show": "BBT", "sarcasm": True},
        "2_9": {"utterance": "No.", "speaker": "CHANDLER", "context": [], "show": "FRIENDS", "sarcasm": False},
        "2_10": {"utterance": "Oh.", "speaker": "CHANDLER", "context": ["L"], "show": "FRIENDS", "sarcasm": True},
    }
    (place / "data").mkdir()
    (place / "data" / "sarcasm_data.json").write_text(json.dumps(table), encoding="utf-8")


def _mustard_features(place: Path) -> None:
    import h5py

    _mustard(place)
    base = place / _FINAL
    base.mkdir(parents=True)
    with h5py.File(base / "resnet_pool5.hdf5", "w") as file:
        file["1_60"] = np.arange(12.0).reshape(3, 4)
        file.create_dataset("2_9", data=np.ones((2, 4), np.float32), chunks=(1, 4), compression="gzip")
        file["2_10"] = np.ones((2, 4), "f2")


def _csd(place: Path) -> None:
    from helpers.mosi_files import write_csd

    write_csd(place)


def _mmsa(place: Path) -> None:
    from helpers.mosi_files import mmsa, write_mmsa

    write_mmsa(place, {"train": {}, "test": mmsa()})


def _pickled(folder: Path) -> Ready:
    """The pickle of MMSA, read with trust: whatever it asks for, nothing but numbers and texts is built."""
    ready = _public("cmu_mosi", "Processed/unaligned_50.pkl", _mmsa, trust=True)(folder)
    content = pickle.loads(ready.seeds[0])
    return Ready(ready.read, (*ready.seeds, pickle.dumps(content, 2), pickle.dumps(content, 5)))


def _sums(folder: Path) -> Ready:
    """Digests that travel with the files."""
    from mmaudit.data import verify_public

    _symile(folder)
    files = sorted(folder.rglob("*.npy"))
    lines = [f"{hashlib.sha256(x.read_bytes()).hexdigest()} {x.relative_to(folder)}" for x in files]
    seed = "\n".join([*lines, "0" * 64 + " train.csv"]) + "\n"
    return Ready(
        lambda data: (replace(folder / "SHA256SUMS.txt", data), verify_public("symile_mimic", folder)), (seed.encode(),)
    )


# ---- Hugging Face


def _saved(place: Path, file: str) -> Sequence[bytes]:
    """A data set as `datasets` saves it, and further sound contents of one of its files."""
    import datasets

    features = datasets.Features(
        {
            "photo": datasets.Image(),
            "note": datasets.Value("string"),
            "matrix": datasets.Array2D((2, 3), "float32"),
            "steps": datasets.List(datasets.Value("int16")),
            "a": datasets.Value("int32"),
            "label": datasets.ClassLabel(names=["cat", "dog"]),
        }
    )
    columns = {
        "photo": [{"bytes": _picture(), "path": None}] * N,
        "note": [f"word {i}" for i in range(N)],
        "matrix": np.arange(N * 6, dtype=np.float32).reshape(N, 2, 3).tolist(),
        "steps": [list(range(i + 1)) for i in range(N)],
        "a": list(range(N)),
        "label": [i % 2 for i in range(N)],
    }
    dataset = datasets.Dataset.from_dict(columns, features=features)
    datasets.disable_progress_bars()
    datasets.DatasetDict({"test": dataset}).save_to_disk(place)
    if not file.endswith(".arrow"):
        return ((place / file).read_bytes(),)
    import pyarrow as pa

    whole = (place / file).read_bytes()
    table, sink = pa.ipc.open_stream(whole).read_all(), io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as out:
        out.write_table(table)
    return whole, sink.getvalue()


def _hugging_face(file: str) -> Callable[[Path], Ready]:
    def prepare(folder: Path) -> Ready:
        from mmaudit.data import HuggingFaceData

        place = folder / "saved"
        seeds = _saved(place, file)
        kinds = {"matrix": "embedding", "steps": "series"}
        names = ("photo", "note", "matrix", "steps", "a")

        def read(data: bytes) -> None:
            replace(place / file, data)
            _used(HuggingFaceData(place, names, "label", "classification", kinds=kinds, split="test"))

        return Ready(read, tuple(seeds))

    return prepare


# ---- the tables: name of the target, form, weight, its file, how a folder with it is made, package that it needs

_PUBLIC: tuple[tuple[str, str, float, str, Callable[[Path], None], str], ...] = (
    ("hateful_memes/dev_seen.jsonl", "bytes", 0.2, "dev_seen.jsonl", _hateful_memes, ""),
    ("mm_imdb/split.json", "json", 0.3, "split.json", _mm_imdb, ""),
    ("mm_imdb/film.json", "json", 0.3, "dataset/0012349.json", _mm_imdb, ""),
    ("av_mnist/labels.npy", "bytes", 0.3, "test_labels.npy", _av_mnist, ""),
    ("av_mnist/image.npy", "bytes", 0.2, "image/test_data.npy", _av_mnist, ""),
    ("symile_mimic/cxr.npy", "bytes", 0.2, "data_npy/test/cxr_test.npy", _symile, ""),
    ("symile_mimic/ids.npy", "bytes", 0.2, "data_npy/test/hadm_id_test.npy", _symile, ""),
    ("symile_mimic/labs.npy", "bytes", 0.2, "data_npy/test/labs_percentiles_test.npy", _symile, ""),
    ("crema_d/people.csv", "bytes", 0.1, "VideoDemographics.csv", _crema_d, "soundfile"),
    ("mustard/table.json", "json", 0.5, "data/sarcasm_data.json", _mustard, ""),
    ("mustard/features.hdf5", "bytes", 0.3, f"{_FINAL}/resnet_pool5.hdf5", _mustard_features, "h5py"),
    ("cmu_mosi/labels.csd", "bytes", 0.2, "CMU_MOSI_Opinion_Labels.csd", _csd, "h5py"),
    ("cmu_mosi/words.csd", "bytes", 0.2, "CMU_MOSI_TimestampedWords.csd", _csd, "h5py"),
    ("cmu_mosi/folds.py", "bytes", 0.2, "cmu_mosi_std_folds.py", _csd, "h5py"),
)
_HUGGING_FACE = (
    ("huggingface/splits.json", "json", 0.1, "dataset_dict.json"),
    ("huggingface/state.json", "json", 0.1, "test/state.json"),
    ("huggingface/info.json", "json", 0.2, "test/dataset_info.json"),
    ("huggingface/data.arrow", "bytes", 0.3, "test/data-00000-of-00001.arrow"),
)
# What a reader is asked for beside the folder.
_OPTIONS: Mapping[Callable[[Path], None], Mapping[str, Any]] = {_csd: {"modalities": ["text", "audio"]}}

TARGETS = (
    *(
        Target(name, form, _public(name.partition("/")[0], file, make, **_OPTIONS.get(make, {})), weight, needs=needs)
        for name, form, weight, file, make, needs in _PUBLIC
    ),
    Target("symile_mimic/sums.txt", "bytes", _sums, 0.2),
    Target("cmu_mosi/features.pkl", "bytes", _pickled, 0.3),
    *(Target(name, form, _hugging_face(file), weight, needs="datasets") for name, form, weight, file in _HUGGING_FACE),
)

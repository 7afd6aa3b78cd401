"""Targets of the further readers: files of samples, tables that name them, shards, groups, exported models, answers."""

from __future__ import annotations

import io
import json
import tarfile
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fuzz.target import Ready, Target, replace
from mmaudit.errors import BadInput

N = 6


def _picture(kind: str = "PNG") -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(np.arange(192, dtype=np.uint8).reshape(8, 8, 3)).save(file, kind)
    return file.getvalue()


def _sound() -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(2)
        out.setsampwidth(2)
        out.setframerate(8_000)
        out.writeframes((np.sin(np.arange(400)) * 9_000).astype("<i2").tobytes())
    return file.getvalue()


def _array() -> bytes:
    file = io.BytesIO()
    np.save(file, np.arange(12, dtype=np.float32).reshape(3, 4))
    return file.getvalue()


def _decoder(kind: str, *seeds: Callable[[], bytes]) -> Callable[[Path], Ready]:
    """Files of one kind of modality, decoded by themselves."""

    def prepare(_: Path) -> Ready:
        from mmaudit.data.decoding import decoder_of

        decoder = decoder_of("x", kind)[1]
        return Ready(lambda data: decoder.decode(data, "x"), tuple(seed() for seed in seeds))

    return prepare


def _flac() -> bytes:
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, np.sin(np.arange(400)) * 0.3, 8_000, format="FLAC")
    return file.getvalue()


def _used(data: Any) -> None:
    data.fingerprint  # noqa: B018  (worked out when asked for)
    if len(data):
        data.rows(np.arange(min(len(data), 3)))


def _csv(folder: Path) -> Ready:
    from mmaudit.data import read_table

    (folder / "a.png").write_bytes(_picture())
    rows = [f"{i},a.png,word {i},{i * 0.5},{'xy'[i % 2]}" for i in range(N)]
    seeds = ("\n".join(["id,photo,note,age,label", *rows]) + "\n").encode()
    modalities, kinds = {"photo": "photo", "note": "note", "age": "age"}, {"photo": "image"}

    def read(data: bytes) -> None:
        _used(read_table(replace(folder / "t.csv", data), modalities, "label", "classification", kinds=kinds, ids="id"))

    return Ready(read, (seeds,))


def _jsonl(folder: Path) -> Ready:
    from mmaudit.data import read_table

    rows = [{"id": i, "note": f"word {i}", "age": i * 0.5, "label": "xy"[i % 2]} for i in range(N)]
    seed = "".join(json.dumps(row) + "\n" for row in rows).encode()
    modalities = {"note": "note", "age": "age"}

    def read(data: bytes) -> None:
        _used(read_table(replace(folder / "t.jsonl", data), modalities, "label", "classification", ids="id"))

    return Ready(read, (seed,))


def _tar(folder: Path) -> Ready:
    from mmaudit.data import read_webdataset

    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as out:
        for i in range(N):
            record = json.dumps({"caption": f"word {i}", "site": "a"}).encode()
            for ending, content in (("png", _picture()), ("json", record), ("cls", str(i % 2).encode())):
                about = tarfile.TarInfo(f"s{i}.{ending}")
                about.size = len(content)
                out.addfile(about, io.BytesIO(content))
    modalities = {"photo": "png", "note": "json.caption"}

    def read(data: bytes) -> None:
        shard = replace(folder / "a.tar", data)
        _used(read_webdataset(shard, modalities, "cls", "classification", groups=("json.site",)))

    return Ready(read, (file.getvalue(),))


def _zarr(name: str) -> Callable[[Path], Ready]:
    """A group of which one file is the input."""

    def prepare(folder: Path) -> Ready:
        import zarr

        from mmaudit.data import read_zarr

        place = folder / "x.zarr"
        group = zarr.open_group(str(place), mode="w", zarr_format=3)
        group.create_array("table", data=np.arange(N * 3, dtype=np.float32).reshape(N, 3), chunks=(N, 3))
        group.create_array("label", data=np.arange(N) % 2)
        path = place / name

        def read(data: bytes) -> None:
            replace(path, data)
            _used(read_zarr(place, ["table"], "label", "classification"))

        return Ready(read, (path.read_bytes(),))

    return prepare


def _skops(folder: Path) -> Ready:
    import skops.io
    from sklearn.linear_model import LogisticRegression

    from mmaudit.models.skops import load_skops

    model = LogisticRegression().fit(np.arange(8.0).reshape(4, 2), [0, 1, 0, 1])
    return Ready(lambda data: load_skops(replace(folder / "m.skops", data)), (skops.io.dumps(model),))


def _onnx(folder: Path) -> Ready:
    """The files of weights that a model names, found without loading it."""
    from onnx import TensorProto, external_data_helper, helper, numpy_helper

    from mmaudit.models.onnx_files import external_files

    weights = numpy_helper.from_array(np.ones((3, 2), np.float32), "w")
    outside = numpy_helper.from_array(np.ones((3, 2), np.float32), "w")
    external_data_helper.set_external_data(outside, "w.bin")
    outside.ClearField("raw_data")
    (folder / "w.bin").write_bytes(bytes(24))
    seeds = []
    for tensor in (weights, outside):
        ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [None, k]) for n, k in (("x", 3), ("y", 2))]
        graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", ends[:1], ends[1:], [tensor])
        seeds.append(helper.make_model(graph).SerializeToString())
    return Ready(lambda data: external_files(replace(folder / "m.onnx", data)), tuple(seeds))


def _answer(body: Any) -> Callable[[Path], Ready]:
    """What an endpoint answers."""

    def prepare(_: Path) -> Ready:
        from mmaudit.models.endpoint_body import Unusable, answered

        file = io.BytesIO()
        np.savez(file, outputs=np.eye(3))
        seeds = {"npz": file.getvalue(), "json": b'{"outputs": [[0.5, null, 1], [1, 2, 3], [0, 0, 0]]}'}

        def read(data: bytes) -> None:
            try:
                answered(body, data, 3, 2**20)
            except Unusable as error:  # what its caller turns into a row without an answer
                raise BadInput(str(error)) from None

        return Ready(read, (seeds[body],))

    return prepare


def _answers(ending: str) -> Callable[[Path], Ready]:
    """A table of answers by sample and condition, in place of a model."""

    def prepare(folder: Path) -> Ready:
        import pandas as pd

        from mmaudit.precomputed.answers import Answers
        from mmaudit.types import Task

        ids = [str(i) for i in range(N)]
        rows = [{"id": i, "condition": c, "output": [0.5, 1.0]} for i in ids for c in ("clean", "destroy")]
        frame, sink = pd.DataFrame(rows), io.BytesIO()
        if ending == "parquet":
            frame.to_parquet(sink, index=False)
        else:
            frame = frame.assign(**{"output.0": 0.5, "output.1": 1.0}).drop(columns="output")
            sink.write(frame.to_csv(index=False).encode())

        def read(data: bytes) -> None:
            answers = Answers(replace(folder / f"a.{ending}", data), Task.classification(2))
            for label in answers.labels():
                answers.read(label, np.array(ids, object))

        return Ready(read, (sink.getvalue(),))

    return prepare


def _npy(folder: Path) -> Ready:
    """An array that is mapped into memory, not read."""
    from mmaudit.data.npy_cells import open_npy

    return Ready(lambda data: np.asarray(open_npy(replace(folder / "x.npy", data))).sum(), (_array(),))


TARGETS = (
    Target("sample.png", "bytes", _decoder("image", _picture, lambda: _picture("JPEG"), lambda: _picture("WEBP"))),
    Target("sample.wav", "bytes", _decoder("audio,sample_rate=8000", _sound, _flac), needs="soundfile"),
    Target("sample.npy", "bytes", _decoder("series,sample_rate=10", _array)),
    Target("mapped.npy", "bytes", _npy),
    Target("table.csv", "bytes", _csv, 0.2),
    Target("table.jsonl", "bytes", _jsonl, 0.2),
    Target("shard.tar", "bytes", _tar, 0.2),
    Target("zarr.json", "json", _zarr("zarr.json"), 0.1, needs="zarr"),
    Target("zarr.json/array", "json", _zarr("table/zarr.json"), 0.1, needs="zarr"),
    Target("zarr.json/chunk", "bytes", _zarr("table/c/0/0"), 0.1, needs="zarr"),
    Target("model.skops", "npz", _skops, 0.2, needs="skops"),
    Target("model.onnx/weights", "bytes", _onnx, needs="onnx"),
    Target("answers.parquet", "parquet", _answers("parquet"), 0.1),
    Target("answers.csv", "bytes", _answers("csv"), 0.1),
    Target("answer.json", "json", _answer("json")),
    Target("answer.npz", "npz", _answer("npz")),
)

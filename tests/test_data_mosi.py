"""CMU-MOSI and CMU-MOSEI: both published layouts, and pickles of which only numbers are built."""

from __future__ import annotations

import contextlib
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.mosi_files import mmsa, write_csd, write_mmsa
from mmaudit.data import check, read_public
from mmaudit.data.public.numbers_only import load_numbers
from mmaudit.errors import BadInput

RNG = np.random.default_rng(21)


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


def test_a_place_in_memory_that_no_writer_reaches_is_refused_at_once(tmp_path: Path) -> None:
    """pickle would make room for four thousand million values before it reads on."""
    (tmp_path / "x.pkl").write_bytes(b"\x80\x02]r" + (2**32 - 1).to_bytes(4, "little") + b".")
    with pytest.raises(BadInput, match="as number 4294967295"):
        load_numbers(tmp_path / "x.pkl")


def test_lists_of_the_same_list_are_made_once(tmp_path: Path) -> None:
    """Forty lists, each twice the one before: a million million values, if each were made where it is named."""
    held: Any = [1.0]
    for _ in range(40):
        held = [held, held]
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(held))
    found = load_numbers(tmp_path / "x.pkl")
    assert found[0] is found[1]
    for name in ("id", "raw_text", "regression_labels", "vision"):
        write_mmsa(tmp_path, {"test": {**mmsa(), name: [held] * 5}})
        with pytest.raises(BadInput, match="not as published"):
            read_public("cmu_mosi", tmp_path, trust=True, modalities=["text", "vision"])


def test_a_shape_that_the_file_cannot_hold_is_refused(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    write_csd(tmp_path)
    with h5py.File(tmp_path / "CMU_MOSI_COVAREP.csd", "a") as file:
        group = file["COVAREP/data/v_a"]
        del group["features"], group["intervals"]
        group.create_dataset("features", (10**12, 3), "f8", chunks=(1000, 3))
        group.create_dataset("intervals", (10**12, 2), "f8", chunks=(1000, 2))
    with pytest.raises(BadInput, match=r"states a shape of \(1000000000000, 3\), which is more than the file holds"):
        read_public("cmu_mosi", tmp_path, modalities=["audio"])


@pytest.mark.parametrize("what", ["type", "group", "one number", "words"])
def test_something_else_in_the_place_of_an_array_is_named(tmp_path: Path, what: str) -> None:
    h5py = pytest.importorskip("h5py")
    write_csd(tmp_path)
    with h5py.File(tmp_path / "CMU_MOSI_Opinion_Labels.csd", "a") as file:
        group = file["Opinion Segment Labels/data/v_a"]
        del group["features"]
        if what == "group":
            group.create_group("features")
        else:
            made = {"type": np.dtype("f8"), "one number": np.ones(3), "words": np.array([["a"]] * 3, "S1")}
            group["features"] = made[what]
    with pytest.raises(BadInput, match=r"is no array|labels that are no numbers"):
        read_public("cmu_mosi", tmp_path, modalities=["audio"])

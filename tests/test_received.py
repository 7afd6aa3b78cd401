"""Digests of what a model received: any change shows, and batches add up to the whole."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.probe_samples import everything, source_of, whole
from mmaudit.outputs import ConditionOutputs, opened, read_group, total_received, write_predictions
from mmaudit.probes.received import Received, row_digests

DATA = everything()
SOURCE = source_of(DATA)


def digest(batch, clean=None):
    return Received(SOURCE, batch if clean is None else clean).digest(batch)


def test_parts_in_any_order_add_up_to_the_whole():
    order = np.random.default_rng(0).permutation(len(DATA))
    parts = [digest(DATA.rows(rows)) for rows in np.array_split(order, 4)]
    assert sum(parts) % 2**64 == digest(whole(DATA))


def test_equal_copies_have_the_same_digest():
    clean = whole(DATA)
    copies = clean.replace({name: array.copy() for name, array in clean.inputs.items()})
    assert Received(SOURCE, clean).digest(copies) == digest(clean)


@pytest.mark.parametrize("name", [m.name for m in DATA.modalities])
def test_one_value_of_one_sample_changes_it(name):
    clean = whole(DATA)
    array = clean.inputs[name].copy()
    if isinstance(array[3], str):
        array[3] += "!"
    else:
        sample = np.array(array[3])
        sample.reshape(-1)[-1] += 1
        array[3] = sample
    assert Received(SOURCE, clean).digest(clean.replace({name: array})) != digest(clean)


def test_presence_and_exchanged_samples_change_it():
    clean = whole(DATA)
    present = clean.present["table"].copy()
    present[0] = not present[0]
    assert Received(SOURCE, clean).digest(clean.replace(present={"table": present})) != digest(clean)
    table = clean.inputs["table"][::-1].copy()
    assert Received(SOURCE, clean).digest(clean.replace({"table": table})) != digest(clean)


def test_rows_of_every_length_and_type_differ():
    rng = np.random.default_rng(0)
    for width in (1, 2, 3, 7, 8, 9, 31, 32, 33, 100):
        rows = rng.integers(0, 256, (500, width)).astype(np.uint8)
        assert len(np.unique(row_digests(rows))) == len(np.unique(rows, axis=0))
    zeros = [row_digests(np.zeros((1, width), np.uint8))[0] for width in range(40)]
    assert len(set(zeros)) == 40


def test_a_flipped_bit_flips_half_of_the_digest():
    rng = np.random.default_rng(1)
    rows = rng.integers(0, 256, (400, 37)).astype(np.uint8)
    flipped = rows.copy()
    flipped[np.arange(400), rng.integers(0, 37, 400)] ^= (1 << rng.integers(0, 8, 400)).astype(np.uint8)
    bits = [bin(int(a ^ b)).count("1") for a, b in zip(row_digests(rows), row_digests(flipped), strict=True)]
    assert 31.5 < np.mean(bits) < 32.5


def answers(received):
    changed, moved = {"x": np.zeros(3, np.bool_)}, {"x": np.zeros(3, np.float32)}
    return ConditionOutputs(np.zeros((3, 2), np.float32), changed, moved, received)


def test_predictions_keep_the_digest_of_every_condition(tmp_path):
    path = tmp_path / "part.parquet"
    write_predictions(path, [answers(7), answers(2**64 - 1)], ["x"])
    assert [read_group(opened(path), group, ["x"]).received for group in (0, 1)] == [7, 2**64 - 1]


def test_predictions_without_digests_are_read(tmp_path):
    path = tmp_path / "part.parquet"
    write_predictions(path, [answers(None)], ["x"])
    assert read_group(opened(path), 0, ["x"]).received is None
    assert total_received([3, None]) is None
    assert total_received([3, 2**64 - 1]) == 2

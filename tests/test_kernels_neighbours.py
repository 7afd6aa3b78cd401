"""Nearest neighbours against plain loops over all pairs, and the vectors they are compared by."""

from __future__ import annotations

import numpy as np
import pytest

from mmaudit.kernels.neighbours import columns, mix, nearest, ngrams, sketch


def twin(queries, values, candidates, candidate_values, rank):
    """The nearest by a loop over all pairs, in float64; equally near ones by rank."""
    out = []
    for q, own in zip(queries.astype(np.float64), values, strict=True):
        best = (np.inf, np.inf, -1)
        for j, c in enumerate(candidates.astype(np.float64)):
            if candidate_values[j] != own:
                best = min(best, (float(((q - c) ** 2).sum()), int(rank[j]), j))
        out.append(best[2])
    return np.array(out)


def case(rng, n, d, whole=False, scale=1.0):
    x = (rng.integers(0, 3, (n, d)) if whole else rng.normal(0, scale, (n, d))).astype(np.float32)
    keys = np.array([hash(row.tobytes()) % 2**63 for row in x], np.uint64)
    unique, first = np.unique(keys, return_index=True)
    return x, keys, x[first], unique, rng.permutation(len(unique)).astype(np.uint64)


@pytest.mark.parametrize("d", [1, 3, 40, 700])
@pytest.mark.parametrize("whole", [False, True])
def test_nearest_is_that_of_all_pairs(d, whole):
    rng = np.random.default_rng(d)
    x, keys, candidates, unique, rank = case(rng, 90, d, whole)
    assert np.array_equal(nearest(x, keys, candidates, unique, rank), twin(x, keys, candidates, unique, rank))


def test_near_ties_that_float32_cannot_tell_are_decided_exactly():
    rng = np.random.default_rng(0)
    centre = rng.normal(1000, 1, 64).astype(np.float32)
    # Distances of a few units in the last place, between vectors whose squares are ten million times larger.
    x = centre + rng.normal(0, 1e-3, (60, 64)).astype(np.float32)
    keys = np.arange(60, dtype=np.uint64)
    rank = rng.permutation(60).astype(np.uint64)
    assert np.array_equal(nearest(x, keys, x, keys, rank), twin(x, keys, x, keys, rank))


def test_the_answer_does_not_depend_on_blocks_or_the_order_of_queries(monkeypatch):
    rng = np.random.default_rng(1)
    x, keys, candidates, unique, rank = case(rng, 120, 5, True)
    whole = nearest(x, keys, candidates, unique, rank)
    order = rng.permutation(120)
    assert np.array_equal(nearest(x[order], keys[order], candidates, unique, rank), whole[order])
    monkeypatch.setattr("mmaudit.kernels.neighbours._BLOCK_VALUES", 7 * len(candidates))
    assert np.array_equal(nearest(x, keys, candidates, unique, rank), whole)


def test_nothing_else_to_choose_from():
    x, key = np.ones((3, 2), np.float32), np.full(3, 5, np.uint64)
    assert nearest(x, key, x[:1], key[:1], np.zeros(1, np.uint64)).tolist() == [-1, -1, -1]
    assert nearest(x, key, x[:0], key[:0], key[:0]).tolist() == [-1, -1, -1]


def test_sketch_is_a_signed_sum_per_column():
    x = np.random.default_rng(0).normal(size=(4, 50)).astype(np.float32)
    column, sign = columns((50,), 8)
    expected = np.zeros((4, 8), np.float32)
    for i in range(4):
        for j in range(50):
            expected[i, column[j]] += sign[j] * x[i, j]
    assert np.array_equal(sketch(x, column, sign, 8), expected)
    assert set(sign) == {-1.0, 1.0}
    assert set(column) == set(range(8))


def test_sketch_keeps_squared_distances():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 20_000)).astype(np.float32)
    short = sketch(x, *columns((20_000,), 1024), 1024)
    true = ((x[:20] - x[20:]) ** 2).sum(axis=1)
    ratio = ((short[:20] - short[20:]) ** 2).sum(axis=1) / true
    error = np.sqrt(2 / 1024)
    assert abs(ratio.mean() - 1) < 4 * error / np.sqrt(20)
    assert 0.5 * error < ratio.std() < 1.6 * error


def test_a_place_has_one_column_whatever_the_shape():
    small, large = (columns(shape, 1024)[0].reshape(shape) for shape in ((4, 5, 3), (6, 9, 3)))
    assert np.array_equal(small, large[:4, :5])
    assert len(np.unique(large)) > 0.9 * large.size


def test_mix_is_splitmix64():
    # First outputs of SplitMix64 from the state 0: published with the algorithm (Vigna's splitmix64.c).
    state, out = np.uint64(0), []
    with np.errstate(over="ignore"):
        for _ in range(3):
            out.append(int(mix(np.array([state], np.uint64))[0]))
            state += np.uint64(0x9E3779B97F4A7C15)
    assert out == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]


def cosine(a: str, b: str) -> float:
    """Cosine of the counts of character 3-grams, marks included, by dictionaries."""
    counts = []
    for text in (a, b):
        marked = "\x02" + text + "\x03"
        grams: dict[str, int] = {}
        for i in range(len(marked) - 2):
            grams[marked[i : i + 3]] = grams.get(marked[i : i + 3], 0) + 1
        counts.append(grams)
    dot = sum(n * counts[1].get(g, 0) for g, n in counts[0].items())
    return dot / float(np.prod([np.sqrt(sum(n * n for n in c.values())) for c in counts]))


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("is there a red circle?", "is there a red square?"),
        ("is there a red circle?", "what shape is in the image?"),
        ("naïve café 🙂🙂", "naïve cafe 🙂"),
        ("مرحبا بالعالم", "مرحبا"),
        ("aaaaaaaa", "aaa"),
        ("x", "x"),
    ],
)
def test_ngrams_have_the_cosine_of_their_counts(a, b):
    one, other = ngrams([a, b], 1024).astype(np.float64)
    assert one @ one == pytest.approx(1, abs=1e-6)
    # Two of some twenty grams meet in a column with chance 2 %: an error of one count at most.
    assert one @ other == pytest.approx(cosine(a, b), abs=0.08)


def test_texts_without_a_3_gram():
    rows = ngrams(["", "a", "\ud800"], 1024)
    assert np.abs(rows[0]).sum() == 0
    assert (np.abs(rows[1:]).sum(axis=1) > 0).all()

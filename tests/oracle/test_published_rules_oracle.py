"""Corruptions of texts and tables beside a dozen lines of each published rule: counts, places and spread, per severity.

AEDA (Karimi et al. 2021), nlpaug's SplitAug and SynonymAug, jenga's Scaling and SwappedValues (Schelter et al. 2021).
The packages themselves need word lists that are not shipped, or old versions of pandas; the rules are theirs.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import scipy.stats

from helpers.one_modality import OneModality
from mmaudit.probes.corruption.lexicon import synonyms
from mmaudit.types import Array, Modality
from text_cases import corrupted

RNG = np.random.default_rng(3)
LINE = "the quick brown fox jumps over a lazy dog near an old stone bridge today"  # without a mark
SURE = 1e-4  # of a test that the same distribution passes 9,999 times in 10,000

# ---- texts


def aeda(words: list[str], rng: np.random.Generator) -> list[tuple[int, str]]:
    """Places and marks of AEDA: between 1 and a third of the words get one of six marks, each as often."""
    count = rng.integers(1, int(len(words) / 3) + 1)
    return [(int(at), str(rng.choice(list(".?;:!,")))) for at in rng.choice(len(words), count, replace=False)]


def test_marks_are_aedas_wherever_aeda_would_put_them() -> None:
    """Of 3,000 lines, at the share that AEDA has on average: as many marks, each mark and each place as often."""
    words = LINE.split()
    theirs = [aeda(words, RNG) for _ in range(3000)]
    share = np.mean([len(x) for x in theirs]) / len(words)
    ours = [
        [(i, word[-1]) for i, word in enumerate(line.split()) if not word[-1].isalpha()]
        for line in corrupted("punctuation", [LINE] * 3000, float(share))
    ]
    assert all(len(line) <= len(words) for line in ours)
    counts = [np.array([len(x) for x in side]) for side in (ours, theirs)]
    assert counts[0].mean() == pytest.approx(counts[1].mean(), abs=4 * counts[1].std() / np.sqrt(3000))
    for part in (0, 1):
        seen = [Counter(hit[part] for line in side for hit in line) for side in (ours, theirs)]
        assert set(seen[0]) == set(seen[1])
        table = [[side[key] for key in sorted(seen[1])] for side in seen]
        assert scipy.stats.chi2_contingency(table).pvalue > SURE


def split_at(word: str, rng: np.random.Generator) -> str:
    """SplitAug tears a word at a place inside it, each as often."""
    at = int(rng.integers(1, len(word)))
    return f"{word[:at]} {word[at:]}"


def test_words_are_torn_where_splitaug_tears_them() -> None:
    """One word has no next one to run into, so each is torn: 6,000 of each side, place by place."""
    ours = Counter(corrupted("whitespace", ["bridges"] * 6000, 1.0))
    theirs = Counter(split_at("bridges", RNG) for _ in range(6000))
    assert set(ours) == set(theirs)
    table = [[side[key] for key in sorted(theirs)] for side in (ours, theirs)]
    assert scipy.stats.chi2_contingency(table).pvalue > SURE


@pytest.mark.parametrize("share", [0.05, 0.1, 0.2, 0.3, 0.5])
def test_every_other_word_hit_is_torn_and_no_letter_changes(share: float) -> None:
    words = LINE.split()
    lines = corrupted("whitespace", [LINE] * 3000, share)
    assert {line.replace(" ", "") for line in lines} == {LINE.replace(" ", "")}
    torn = np.array([len(set(line.split()) - set(words)) for line in lines])
    blanks = np.array([line.count(" ") for line in lines]) - LINE.count(" ")
    # Torn less run together: nothing on average, but for words of one letter (never torn) and the last (never run on).
    assert abs(blanks.mean()) < 0.1 * share * len(words) + 4 * blanks.std() / np.sqrt(3000)
    assert torn.mean() > share * len(words)  # a torn word leaves two unknown ones, two run together leave one


@pytest.mark.parametrize("share", [0.1, 0.25, 0.4, 0.6, 0.9])
def test_words_become_any_of_their_synonyms_as_often(share: float) -> None:
    """As SynonymAug draws: each word of the share by itself, then one of its synonyms, all alike."""
    word = max(synonyms(), key=lambda w: (len(synonyms()[w]), w))
    others = synonyms()[word]
    line = f"it was {word} and then {word} once more"
    drawn = [line_.split() for line_ in corrupted("synonym", [line] * 4000, share)]
    found = Counter(line_[place] for line_ in drawn for place in (2, 5))
    changed = sum(count for said, count in found.items() if said != word)
    assert changed / 8000 == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / 8000))
    assert set(found) - {word} <= set(others)
    expected = [changed / len(others)] * len(others)
    assert scipy.stats.chisquare([found[other] for other in others], expected).pvalue > SURE


# ---- tables


def table(x: Array) -> OneModality:
    return OneModality(x, Modality("x", "tabular"))


@pytest.mark.parametrize(("severity", "factor"), [(1.0, 10), (2.0, 100), (3.0, 1000)])
def test_values_are_scaled_as_by_jenga(severity: float, factor: int) -> None:
    """jenga multiplies a column by 10, 100 or 1000 in a fraction of rows; of d columns each row has one, so 1/d."""
    x = RNG.normal(5.0, 2.0, (20_000, 4))
    new = table(x).after("scaling", severity)
    theirs = x.copy()
    for column in range(4):
        rows = RNG.choice(len(x), len(x) // 4, replace=False)
        theirs[rows, column] *= factor
    for column in range(4):
        hit, jenga = new[:, column] != x[:, column], theirs[:, column] != x[:, column]
        assert hit.mean() == pytest.approx(jenga.mean(), abs=4 * np.sqrt(0.25 * 0.75 / 20_000))
        np.testing.assert_allclose(new[hit, column] / x[hit, column], factor)
        assert scipy.stats.ks_2samp(new[:, column], theirs[:, column]).pvalue > SURE


@pytest.mark.parametrize("fraction", [0.2, 0.4, 0.6, 0.8, 1.0])
def test_columns_are_swapped_as_by_jenga(fraction: float) -> None:
    """jenga exchanges two columns in a fraction of rows: the same rows' worth, and the same columns to look at."""
    x = np.stack([RNG.normal(0, 1, 20_000), RNG.gamma(2.0, 3.0, 20_000)], axis=1)
    new = table(x).after("column_swap", fraction)
    theirs = x.copy()
    rows = RNG.choice(len(x), int(fraction * len(x)), replace=False)
    theirs[rows] = theirs[rows][:, ::-1]
    hit = (new != x).all(axis=1)
    np.testing.assert_array_equal(new[hit], x[hit][:, ::-1])
    np.testing.assert_array_equal(new[~hit], x[~hit])
    assert hit.mean() == pytest.approx(fraction, abs=4 * np.sqrt(fraction * (1 - fraction) / 20_000) + 1e-12)
    for column in range(2):
        assert scipy.stats.ks_2samp(new[:, column], theirs[:, column]).pvalue > SURE

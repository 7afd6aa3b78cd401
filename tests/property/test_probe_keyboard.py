"""Typing errors on any text."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mmaudit.probes.corruption.text_tables import NEIGHBOURS
from text_cases import corrupted

shares = st.floats(0.001, 1)


def typed(x: str, share: float, seed: int = 0) -> str:
    return corrupted("keyboard", [x], share, seed)[0]


@given(st.text(max_size=80), shares, st.integers(0, 99))
def test_only_letters_change_and_only_to_neighbours_of_the_same_case(x, share, seed):
    for old, new in zip(x, typed(x, share, seed), strict=True):
        assert old == new or new in NEIGHBOURS[old]
        assert old.isupper() == new.isupper()


@given(st.text("abcXYZ ,.7é", max_size=80), shares, shares, st.integers(0, 99))
def test_typos_at_one_severity_are_there_at_every_higher_one(x, one, other, seed):
    low, high = typed(x, min(one, other), seed), typed(x, max(one, other), seed)
    assert all(a in (x[i], high[i]) for i, a in enumerate(low))
    assert sum(a != b for a, b in zip(x, low, strict=True)) <= sum(a != b for a, b in zip(x, high, strict=True))


@given(st.text("abcdefgh", min_size=1, max_size=60), shares, st.integers(0, 99))
def test_number_of_typos_is_the_share_rounded_up_or_down(x, share, seed):
    count = sum(a != b for a, b in zip(x, typed(x, share, seed), strict=True))
    assert abs(count - share * len(x)) < 1


def test_share_is_right_on_average_for_short_texts():
    for x in ("no", "a cat", "is it?"):
        letters = sum(c.isalpha() for c in x)
        counts = [sum(a != b for a, b in zip(x, new, strict=True)) for new in corrupted("keyboard", [x] * 4000, 0.05)]
        assert abs(np.mean(counts) / letters - 0.05) < 5 * np.std(counts) / np.sqrt(4000) / letters


def test_neighbours_are_mutual_and_complete():
    letters = "abcdefghijklmnopqrstuvwxyz"
    assert set(NEIGHBOURS) == set(letters + letters.upper())
    for letter, near in NEIGHBOURS.items():
        assert letter not in near
        assert len(set(near)) == len(near)
        assert all(letter in NEIGHBOURS[other] for other in near)


def test_nothing_to_mistype_stays():
    assert typed("42, 17!", 1) == "42, 17!"
    # A letter with a mark of its own is no key, composed or not.
    assert typed("é e\u0301", 1) == "é e\u0301"

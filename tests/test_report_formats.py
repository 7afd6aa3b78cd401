"""Numbers and texts as a reader sees them."""

from __future__ import annotations

import math

import pytest

from mmaudit.formats import (
    change,
    drawable,
    estimate,
    interval,
    measure,
    number,
    p_value,
    plain,
    printable,
    readable,
    shorten,
    unbroken,
)

NAN = math.nan


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (estimate(0.974, 0.9712, 0.9768, "share"), "97.4 % [97.1, 97.7]"),
        (estimate(0.00831, 0.0065, 0.0101, "share"), "0.8 % [0.7, 1.0]"),
        (estimate(0.0009, 0.0008, 0.0010, "share"), "0.09 % [0.08, 0.10]"),
        (estimate(1.8312, 1.79, 1.87, "°C"), "1.83 °C [1.79, 1.87]"),
        (estimate(12345.6, 12000, 12700, "m"), "12 346 m [12 000, 12 700]"),
        (estimate(1.8312e-9, 1.79e-9, 1.87e-9, "T"), "1.83e−09 T [1.79e−09, 1.87e−09]"),
        (estimate(0.0, -1.79e-9, 1.87e-9, "T"), "0.000000 T [−1.8e−09, 1.9e−09]"),
        (number(1.5e-11, "m"), "1.50e−11 m"),
        (estimate(0.5, NAN, NAN, "share"), "50.0 %"),
        (estimate(NAN, NAN, NAN, "share"), "—"),
        (change(-0.123, -0.14, -0.106, "share"), "−12.3 pp [−14.0, −10.6]"),
        (change(0.0, -0.001, 0.001, "share"), "0.0 pp [−0.1, +0.1]"),
        (change(0.25, 0.2, 0.3, "nat"), "+0.25 nat [+0.20, +0.30]"),
        (number(-0.00001, "share"), "0.0 %"),
        (number(NAN, "nat"), "—"),
        (interval(NAN, 1.0), ""),
        (plain(-1234.5, 1), "−1 234.5"),
        (p_value(0.0004), "< 0.001"),
        (p_value(0.0312), "0.031"),
        (p_value(NAN), "—"),
        (measure("accuracy", "share", "higher"), "accuracy (%, ↑ better)"),
        (measure("rmse", "°C", "lower"), "RMSE (°C, ↓ better)"),
        (measure("mean_confidence", "share", "neither"), "mean confidence (%)"),
        (measure("auroc", "", "higher", change=True), "AUROC (↑ better)"),
        (readable("chance_normalised_drop"), "chance normalised drop"),
    ],
)
def test_shown(shown: str, expected: str) -> None:
    assert shown.replace("\u00a0", " ").replace("\u202f", " ") == expected


def test_a_negative_number_that_rounds_to_zero_has_no_sign() -> None:
    assert plain(-0.04, 1) == "0.0"
    assert plain(-0.04, 1, signed=True) == "0.0"


@pytest.mark.parametrize("limit", [3, 8, 20])
def test_shorten_keeps_within_its_limit(limit: int) -> None:
    assert shorten("a" * 100, limit) == "a" * ((limit - 1) * 2 // 3) + "…" + "a" * (limit - 1 - (limit - 1) * 2 // 3)
    assert shorten("short", 20) == "short"
    assert shorten("two\n lines", 20) == "two lines"


def test_printable_removes_what_pages_cannot_hold() -> None:
    bad = "\x00\x08\x1b\x7f\x85\ud800\udfff\u202e\u2066\ufdd0\ufffe\U0001ffff"
    assert printable(bad) == "\ufffd" * len(bad)
    good = "a\n\tä漢字🙂é\u00a0‍"
    assert printable(good) == good


def test_a_number_keeps_its_unit_and_other_whitespace_is_one_space() -> None:
    assert shorten("92.2\u00a0% of 9\u202f673", 40) == "92.2\u00a0% of 9\u202f673"
    hostile = "\u00a0 a\u00a0\u00a0b\n\u202fc \t d\u2028e\x1cf\u3000g\u00a0\n"
    assert shorten(hostile, 40) == "a b c d e f g"


@pytest.mark.parametrize(
    ("text", "joined"),
    [
        ("a 95 % interval of 3 pp, 0.4 bits or 20 ms", "a 95_% interval of 3_pp, 0.4_bits or 20_ms"),
        ("says 0.439 bits [0.418, 0.462] (p < 0.001)", "says 0.439_bits [0.418,_0.462] (p_<_0.001)"),
        ("H(Y) = 2.45 bits, at α = 0.05; [−0.1, −0.02]", "H(Y) =_2.45_bits, at α =_0.05; [−0.1,_−0.02]"),
        ("5 msec, 3 bitsy, 1, 2 and 3 samples", "5 msec, 3 bitsy, 1, 2 and 3 samples"),
    ],
)
def test_no_line_ends_between_a_number_and_what_belongs_to_it(text: str, joined: str) -> None:
    assert unbroken(text).replace("\u00a0", "_") == joined


def test_drawable_removes_the_line_ends_that_vega_breaks_on() -> None:
    assert drawable("a\u2028\u2029\x00b\n") == "a\ufffd\ufffd\ufffdb\n"

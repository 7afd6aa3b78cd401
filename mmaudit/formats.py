"""Numbers as a reader meets them: with unit, sign and interval, or a dash where there is no value."""

from __future__ import annotations

import math
import re

NBSP = "\u00a0"
MINUS = "\u2212"
DASH = "\u2014"
MOST_DECIMALS = 6
LONGEST_UNIT = 20
# A thousandth of a bit is far below what any audit can tell apart.
BIT_DECIMALS = 3
ARROWS = {"higher": "↑", "lower": "↓", "neither": ""}


def factor(unit: str) -> float:
    """What a stored value is multiplied by to be shown: 100 for a share (shown as percent), else 1."""
    return 100.0 if unit == "share" else 1.0


def shown_unit(unit: str) -> str:
    """The unit a reader sees: `%` for a share."""
    return {"share": "%", "ratio": "×"}.get(unit) or shorten(unit, LONGEST_UNIT)


def change_unit(unit: str) -> str:
    """The unit of a difference of two values: `pp` (percentage points) for shares."""
    return {"share": "pp", "ratio": "×"}.get(unit) or shorten(unit, LONGEST_UNIT)


def digits(unit: str, value: float, low: float = math.nan, high: float = math.nan) -> int:
    """Decimals to show, of the value in shown units: as many as the interval supports.

    Without an interval one for percentages, otherwise three significant digits. Bits: two, three where the interval is
    narrow or unknown.
    """
    half = factor(unit) * (high - low) / 2
    size = factor(unit) * abs(value)
    if unit == "bits":
        return BIT_DECIMALS - (half >= 0.005)
    if math.isfinite(half) and half > 0:
        if unit == "share":
            return 1 if half >= 0.05 else 2 if half >= 0.005 else 3
        return max(-math.floor(math.log10(half / 2.5)), 0)
    if unit == "share":
        return 1
    if not math.isfinite(size) or size == 0:
        return 2
    return max(2 - math.floor(math.log10(size)), 0)


def plain(value: float, decimals: int, signed: bool = False) -> str:
    """A number with a true minus sign, thousands separated by a thin space; a dash for NaN.

    Where more than six decimals would be needed the number is written with an exponent.
    """
    if not math.isfinite(value):
        return DASH
    if decimals > MOST_DECIMALS and value:
        kept = max(decimals + math.floor(math.log10(abs(value))), 0)
        text = f"{abs(value):.{kept}e}".replace("e-", f"e{MINUS}")
    else:
        text = f"{abs(value):,.{min(decimals, MOST_DECIMALS)}f}".replace(",", "\u202f")
    zero = not any(c in "123456789" for c in text)
    if value < 0 and not zero:
        return MINUS + text
    return ("+" if signed and not zero else "") + text


def number(
    value: float, unit: str = "", signed: bool = False, change: bool = False, decimals: int | None = None
) -> str:
    """A value with its unit: `97.4 %`, `+2.1 pp`, `0.0312 nat`; a dash for NaN."""
    if not math.isfinite(value):
        return DASH
    name = change_unit(unit) if change else shown_unit(unit)
    text = plain(value * factor(unit), digits(unit, value) if decimals is None else decimals, signed)
    return f"{text}{NBSP}{name}" if name else text


def interval(low: float, high: float, unit: str = "", decimals: int | None = None, signed: bool = False) -> str:
    """A 95 % interval in brackets, without unit; empty where it is undefined."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return ""
    places = digits(unit, (low + high) / 2, low, high) if decimals is None else decimals
    return f"[{plain(low * factor(unit), places, signed)},{NBSP}{plain(high * factor(unit), places, signed)}]"


def estimate(value: float, low: float, high: float, unit: str = "") -> str:
    """A value with unit and interval: `97.4 % [97.1, 97.7]`."""
    places = digits(unit, value, low, high)
    return f"{number(value, unit, decimals=places)} {interval(low, high, unit, places)}".strip()


def change(delta: float, low: float, high: float, unit: str = "") -> str:
    """A difference with unit and interval: `−12.3 pp [−14.0, −10.6]`."""
    places = digits(unit, delta, low, high)
    text = number(delta, unit, signed=True, change=True, decimals=places)
    return f"{text} {interval(low, high, unit, places, signed=True)}".strip()


def unbroken(text: str) -> str:
    """Prose in which a number stays on the line of its unit, sign and interval: `95 %`, `p = 0.2`, `[0.1, 0.3]`."""
    return _TORN.sub(NBSP, text)


def p_value(p: float) -> str:
    """A p-value to three decimals, `< 0.001` below that."""
    if not math.isfinite(p):
        return DASH
    return f"<{NBSP}0.001" if p < 0.001 else f"{p:.3f}"


def count(n: int) -> str:
    """A whole number, thousands separated by a thin space."""
    return plain(float(n), 0)


def duration(seconds: float) -> str:
    """Return a time in the largest unit of which there is exactly one, or at least two: `90 s`, `10 min`, `3 d`."""
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size or seconds == size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"


def measure(metric: str, unit: str, better: str, change: bool = False) -> str:
    """A metric's name with unit and direction, as an axis or column is titled: `accuracy (%, ↑ better)`."""
    name = change_unit(unit) if change else shown_unit(unit)
    direction = f"{ARROWS[better]} better" if ARROWS.get(better) else ""
    inside = ", ".join(x for x in (name, direction) if x)
    said = shorten(readable(metric), 40)
    return f"{said} ({inside})" if inside else said


KNOWN_NAMES = {
    "ece": "ECE",
    "ece_floor": "ECE floor",
    "accuracy_on": "accuracy on a tag",
    "classwise_ece": "classwise ECE",
    "adaptive_ece": "adaptive ECE",
    "ace": "ACE",
    "mce": "MCE",
    "nll": "NLL",
    "auroc": "AUROC",
    "aurc": "AURC",
    "brier": "Brier score",
    "macro_f1": "macro-F1",
    "rmse": "RMSE",
    "mae": "MAE",
    "r2": "R²",
    "mrr": "MRR",
    "recall_at_1": "recall@1",
    "recall_at_5": "recall@5",
    "recall_at_10": "recall@10",
    "info_nce": "InfoNCE",
    "mmi": "MMI",
    "severity_auc": "area under the severity curve",
    "shapley_value": "Shapley value",
    "shapley_interaction": "Shapley interaction",
    "shapley_efficiency_error": "Shapley efficiency error",
    "leave_one_out": "leave one out",
    "only_one": "only this one",
    "shape_contribution": "SHAPE contribution",
    "shape_cooperation": "SHAPE cooperation",
    "emap": "EMAP",
    "ksg_information": "information by nearest neighbours (KSG)",
    "emap_gap": "EMAP gap",
    "anova_share": "ANOVA share",
    "anova_order_share": "ANOVA share by order",
    "off_data_distance": "distance off the data",
    "plug_in_synergy": "plug-in synergy",
    "label_shuffle": "label shuffle",
    "within_class_shuffle": "within-class shuffle",
    "o_information": "O-information",
    "deep_lift": "DeepLift",
    "gradient_shap": "GradientSHAP",
}


def readable(name: str) -> str:
    """A registered name in words: `mean_confidence` → `mean confidence`; known abbreviations keep their capitals."""
    return KNOWN_NAMES.get(name, name.replace("_", " "))


def shorten(text: str, limit: int) -> str:
    """At most `limit` characters on one line; an ellipsis in the middle marks what is left out."""
    text = printable(_SPACES.sub(" ", text).strip())
    if len(text) <= limit:
        return text
    head = (limit - 1) * 2 // 3
    return f"{text[:head]}…{text[len(text) - (limit - 1 - head) :]}"


_TORN = re.compile(
    r"(?<=\d) (?=(?:%|pp|bits?|ms)(?!\w))|(?<=\bp) (?=[<=] \d)|(?<=[<=]) (?=\d)|(?<=\d,) (?=[+\u2212-]?[\d.]+\])"
)
# All whitespace but single spaces, of which two kinds hold a number and its unit, or its thousands, together.
_SPACES = re.compile(r"[^\S \u00a0\u202f]\s*|[ \u00a0\u202f]\s+")
# Control characters, surrogates, bidirectional overrides (they reorder what a reader sees), non-characters.
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufdd0-\ufdef"
    + "".join(f"{chr(plane + 0xFFFE)}{chr(plane + 0xFFFF)}" for plane in range(0, 0x110000, 0x10000))
    + "]"
)


def printable(text: str) -> str:
    """Text that HTML and SVG can hold: every character they cannot becomes U+FFFD."""
    # What Python calls printable holds none of them; it is told a hundred times faster than by the expression.
    return text if text.isprintable() else _UNPRINTABLE.sub("\ufffd", text)


def drawable(text: str) -> str:
    """Text that Vega can draw: printable, without the line ends on two of which its expressions break before 6.1."""
    return printable(text).replace("\u2028", "\ufffd").replace("\u2029", "\ufffd")

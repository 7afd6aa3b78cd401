"""How findings say things: values with intervals, losses, lists of names, conditions in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from mmaudit import formats
from mmaudit.joint import parts
from mmaudit.types import Condition, Score

NEARLY_ALL = 0.9
"""Sure loss from which everything is said to be lost."""
MOST_NAMES = 4
LONGEST_NAME = 40
INTERVAL = formats.unbroken("95 % interval")

NO_KINDS: Mapping[str, str] = MappingProxyType({})
_STAND_INS = {
    "native": "",
    "mean": "replaced by the mean",
    "marginal": "replaced by another sample's",
    "noise": "replaced by noise",
}


def percent(share: float) -> str:
    """A share as a percentage."""
    return formats.number(share, "share")


def amount(score: Score, value: float | None = None) -> str:
    """A score's value, or another value in its unit."""
    return formats.number(score.value if value is None else value, score.unit)


def span(score: Score) -> str:
    """A value and its 95 % interval: `28.4 % (95 % interval 27.5 % to 29.3 %)`."""
    return _with_interval(amount(score), score.low, score.high, score.unit)


def change(score: Score) -> str:
    """A difference and its 95 % interval: `−0.1 pp (95 % interval −0.4 pp to +0.2 pp)`."""
    low, high = (formats.number(x, score.unit, signed=True, change=True) for x in (score.delta_low, score.delta_high))
    return f"{formats.number(score.delta, score.unit, signed=True, change=True)} ({INTERVAL} {low} to {high})"


def gap(score: Score) -> str:
    """A value that is a difference itself, in percentage points where it is a share."""
    low, high = (formats.number(x, score.unit, change=True) for x in (score.low, score.high))
    return f"{formats.number(score.value, score.unit, change=True)} ({INTERVAL} {low} to {high})"


def loss(score: Score) -> str:
    """What is lost of the above-chance performance: a share with interval, or all of it where that is nearly sure."""
    if round(score.lost, 3) >= 1 and score.lost_low >= NEARLY_ALL:
        return "everything it has above chance"
    return (
        f"{_with_interval(percent(score.lost), score.lost_low, score.lost_high, 'share')} of what it has above chance"
    )


def _with_interval(value: str, low: float, high: float, unit: str) -> str:
    if low != low or high != high:
        return value
    return f"{value} ({INTERVAL} {formats.number(low, unit)} to {formats.number(high, unit)})"


def name(text: str) -> str:
    """A name given by the user, short enough for a sentence."""
    return formats.shorten(text, LONGEST_NAME)


def listing(names: Iterable[str], most: int = MOST_NAMES) -> str:
    """Names given by the user, as `enumerated` joins them; long ones are shortened."""
    return enumerated(map(name, names), most)


def enumerated(texts: Iterable[str], most: int = MOST_NAMES) -> str:
    """`a`, `a and b`, `a, b and c`; of many the first few: `a, b, c, d and 3 more`."""
    items = list(texts)
    if len(items) > most + 1:
        items = [*items[:most], f"{len(items) - most} more"]
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else "nothing"


def all_but(names: Sequence[str], left_out: Iterable[str]) -> list[str]:
    """The names that are not left out, in order."""
    return [n for n in names if n not in set(left_out)]


def measure(score: Score) -> str:
    """A metric's name in words."""
    return formats.readable(score.metric)


def sentence(text: str) -> str:
    """Text with its first letter in upper case and the rest as it is; not for text that starts with a user's name."""
    return text[:1].upper() + text[1:]


def stand_in(condition: Condition, kinds: Mapping[str, str] = NO_KINDS) -> str:
    """What fills the gap under a missing condition; nothing where the model handles absence itself."""
    baseline = condition.option("baseline") or "native"
    if baseline == "zero":
        texts = {kinds.get(m, "") == "text" for m in condition.modalities if m in kinds} or {True, False}
        return "replaced by " + " or ".join(["zeros"] * (False in texts) + ["an empty text"] * (True in texts))
    return _STAND_INS.get(baseline, f"replaced: {baseline}")


def _bracketed(text: str) -> str:
    return f" ({text})" if text else ""


def words(condition: Condition, kinds: Mapping[str, str] = NO_KINDS) -> str:
    """The condition as it reads after "under" or "with"; `kinds` of modalities say what zeros are to each."""
    names = listing(condition.modalities)
    if condition.family == "clean":
        return "clean data"
    if condition.probe == "missing":
        return f"{names} missing{_bracketed(stand_in(condition, kinds))}"
    if condition.probe == "missing_pattern":
        return f"{names} absent as in another sample{_bracketed(stand_in(condition, kinds))}"
    if condition.family == "missing":
        share, why = percent(condition.severity or 0.0), _depending(condition)
        return f"{names} missing in {share} of the samples{why}{_bracketed(stand_in(condition, kinds))}"
    if condition.probe == "mismatch":
        return f"{names} taken from {_donor(condition)}"
    if condition.probe == "mismatch_share":
        return f"{names} taken from another sample in {percent(condition.severity or 0.0)} of the samples"
    if condition.probe in ("temporal_shift", "temporal_shift_samples"):
        return f"{names} {condition.severity:g} {condition.unit} {condition.option('direction')}"
    if condition.probe == "stale_order":
        return f"{names} stale by {condition.severity:g} samples"
    if condition.family == "conflict":
        return f"{names} taken from a sample of another class"
    if condition.probe == "surface":
        return " and ".join(words(part, kinds) for part in parts(condition))
    if condition.family == "scenario":
        apart = ", each on its own" if condition.option("latent") == "independent" else ""
        return f"the scenario {plain_name(condition)}{_severity(condition)}{apart}"
    return f"{plain_name(condition)} of {names}{_severity(condition)}"


def plain_name(condition: Condition) -> str:
    """The probe's name without its kind, in words: `image.gaussian_blur` → `gaussian blur`."""
    return formats.readable(condition.probe.rpartition(".")[2])


def _depending(condition: Condition) -> str:
    """What decides which samples lack the modality, where it is not chance."""
    by = condition.option("by")
    if condition.option("keep") == "one":
        return " each"
    if by is None:
        return ""
    return {"itself": " depending on its own value", "target": " depending on the target"}.get(
        by, f" depending on {by}"
    )


def _donor(condition: Condition) -> str:
    pools = {
        "within_class": "another sample of the same class",
        "across_class": "a sample of another class",
        "nearest": "the most similar other sample",
    }
    return pools.get(condition.option("pool") or "", "another sample")


def _severity(condition: Condition) -> str:
    if condition.position is not None:
        scale = condition.option("scale")
        return f" at severity {condition.position} of 5" + (f" on the {scale} scale" if scale else "")
    return "" if condition.severity is None else f" at {condition.severity:g} {condition.unit}".rstrip()

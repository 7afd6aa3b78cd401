"""A condition that applies two others at once, and how its options name them.

Both sides of the run need to read them: the probe to apply the two, the score to subtract what each does alone.
"""

from __future__ import annotations

from mmaudit.errors import BadInput
from mmaudit.types import Condition

SIDES = ("a", "b")


def joint_options(a: Condition, b: Condition) -> tuple[tuple[str, str], ...]:
    """Return the options of a condition that applies `a` to its first modality and `b` to its second.

    Each is written as `image.gaussian_blur v1 @3 0.18` (probe, version, position, severity), its own options behind
    `a.` or `b.`; so a changed probe or severity gives the joint condition another key, too.
    """
    options: list[tuple[str, str]] = []
    for side, part in zip(SIDES, (a, b), strict=True):
        options.append((side, f"{part.probe} v{part.version} @{part.position} {part.severity!r}"))
        options += [(f"{side}.{name}", value) for name, value in part.options]
    return tuple(options)


def parts(condition: Condition) -> tuple[Condition, Condition]:
    """Return the two conditions that a joint one applies, with the keys they have when they are run alone.

    Raises:
        BadInput: the condition does not name two others.
    """
    if len(condition.modalities) != 2:
        raise BadInput(f"{condition.label} changes {len(condition.modalities)} modalities; a joint condition has 2.")
    first, second = (_part(condition, side, name) for side, name in zip(SIDES, condition.modalities, strict=True))
    return first, second


def _part(condition: Condition, side: str, modality: str) -> Condition:
    text = condition.option(side) or ""
    try:
        probe, version, position, severity = text.rsplit(" ", 3)
        return Condition(
            probe,
            "corruption",
            int(version.removeprefix("v")),
            (modality,),
            float(severity),
            int(position.removeprefix("@")),
            tuple((n.removeprefix(f"{side}."), v) for n, v in condition.options if n.startswith(f"{side}.")),
            condition.repeat,
        )
    except ValueError:
        expected = "'probe v1 @position severity'"
        raise BadInput(f"{condition.label}: option {side!r} is {text!r}, expected {expected}.") from None

"""Corruptions of text. `x` is `str`."""

from __future__ import annotations

import numpy as np

from mmaudit.errors import BadInput
from mmaudit.probes.base import corruption

# Letters that touch on a US QWERTY keyboard, rows shifted by half a key. Letters only: a digit is no likely slip
# for most of them, and would change what tokenisers see in another way than a misspelling does.
NEIGHBOURS = {
    "q": "wa", "w": "qeas", "e": "wrsd", "r": "etdf", "t": "ryfg", "y": "tugh", "u": "yihj", "i": "uojk", "o": "ipkl",
    "p": "ol", "a": "qwsz", "s": "weadzx", "d": "ersfxc", "f": "rtdgcv", "g": "tyfhvb", "h": "yugjbn", "j": "uihknm",
    "k": "iojlm", "l": "opk", "z": "asx", "x": "sdzc", "c": "dfxv", "v": "fgcb", "b": "ghvn", "n": "hjbm", "m": "jkn",
}  # fmt: skip
NEIGHBOURS |= {letter.upper(): near.upper() for letter, near in NEIGHBOURS.items()}


@corruption("keyboard", kinds=("text",), severities=(0.05, 0.1, 0.15, 0.2, 0.3), unit="share of letters")
def keyboard(x: str, severity: float, rng: np.random.Generator) -> str:
    """Typing errors: letters replaced by a neighbour on the QWERTY keyboard.

    Severity is the share of a-z and A-Z replaced, in [0, 1]; case is kept, everything else stays. Of L letters,
    severity·L are replaced, rounded up or down at random so that the share is right on average for the shortest text
    too. Letters replaced at one severity are replaced, by the same neighbour, at every higher one. The name and the
    operation are nlpaug's `KeyboardAug`; the neighbours here are letters only.
    """
    if severity > 1:
        raise BadInput(f"keyboard: severity {severity} is above 1; it is a share of the letters.")
    letters = [i for i, character in enumerate(x) if character in NEIGHBOURS]
    # Drawn in full whatever the severity, so that severities share their random numbers.
    rounding, order, choice = rng.random(), rng.random(len(letters)), rng.random(len(letters))
    count = int(severity * len(letters) + rounding)
    characters = list(x)
    for j in np.argsort(order, kind="stable")[:count].tolist():
        near = NEIGHBOURS[x[letters[j]]]
        characters[letters[j]] = near[int(choice[j] * len(near))]
    return "".join(characters)

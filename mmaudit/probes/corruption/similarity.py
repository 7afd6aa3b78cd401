"""A floor under the similarity of a corrupted text with the original, so that it still says the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mmaudit.errors import BadInput
from mmaudit.kernels.chrf import chrf
from mmaudit.types import IntArray

# Halvings of the severity: the one found is at most 1/64 of the asked one below the largest that keeps to the floor.
HALVINGS = 6


def limited(
    apply: Callable[[list[str], float], Sequence[str]],
    texts: list[str],
    severity: float,
    floor: float,
    originals: Sequence[str] | None = None,
) -> list[str]:
    """Return each text corrupted at the largest severity, up to the asked one, at which its chrF is still `floor`.

    Severities are tried by bisection, so the one found is short of the largest by less than 1/64 of the asked one; a
    text whose chrF with the original is below the floor even at 1/64 stays as it is. `apply` must corrupt text i by
    itself, whatever the others are, and with the same random numbers at every severity, so that damage is nested.
    The similarity is `mmaudit.kernels.chrf`, in [0, 1], with `originals` where the texts were corrupted before. As chrF
    is defined, white space does not count: a corruption of white space alone (`text.whitespace`) leaves every letter
    where it was, has a similarity of 1, and is held back by no floor.

    Raises:
        BadInput: a floor outside (0, 1].
    """
    if not 0 < floor <= 1:
        raise BadInput(f"similarity floor {floor} is outside (0, 1]; it is a chrF similarity.")
    best = list(texts)
    against = texts if originals is None else originals
    # In 64ths of the severity: the largest known to keep to the floor, and the smallest known not to.
    whole = 2**HALVINGS
    low, high = np.zeros(len(texts), np.int64), np.full(len(texts), whole)

    def attempt(rows: IntArray, part: int) -> None:
        # The others are blank: apply wants every text in its place, and nothing is done to an empty one.
        asked = [""] * len(texts)
        for row in rows.tolist():
            asked[row] = texts[row]
        new = apply(asked, severity * part / whole)
        similar = chrf([new[row] for row in rows.tolist()], [against[row] for row in rows.tolist()]) >= floor
        for row in rows[similar].tolist():
            best[row] = new[row]
        low[rows[similar]] = part
        high[rows[~similar]] = part

    attempt(np.arange(len(texts)), whole)
    for _ in range(HALVINGS):
        middle = (low + high) // 2
        open_ = (low < whole) & (middle > low)
        for part in np.unique(middle[open_]).tolist():
            attempt(np.flatnonzero(open_ & (middle == part)), part)
    return best

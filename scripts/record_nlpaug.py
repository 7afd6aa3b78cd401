"""Record how far nlpaug moves texts, for the oracle test of text corruptions: python scripts/record_nlpaug.py

Needs an environment with nlpaug 1.1.11 and mmaudit. Writes tests/golden/nlpaug.json: the texts, and per operation and
rate the mean and standard error, over texts and repetitions, of the normalised Levenshtein distance.

The texts are such that nlpaug's share and ours mean the same: for characters one word of 200 letters, so that its share
per word is a share of the text; for words 40 different words without punctuation. Rates times lengths are whole
numbers, since nlpaug rounds up where ours rounds at random.
"""

from __future__ import annotations

import importlib
import json
import random
import statistics
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from mmaudit.kernels.distance import normalised_levenshtein
from mmaudit.probes.corruption.text_tables import OCR

nac = importlib.import_module("nlpaug.augmenter.char")
naw = importlib.import_module("nlpaug.augmenter.word")

OUT = Path(__file__).parents[1] / "tests" / "golden" / "nlpaug.json"
RATES = (0.1, 0.2, 0.3)
TEXTS, REPEATS = 5, 60
LETTERS = "etaoinshrdlucmfwypvbgkjqxz"
CONSONANTS, VOWELS = "bcdfghjklmnprstvwz", "aeiou"


def texts() -> dict[str, list[str]]:
    """Return five texts of each sort: letters, characters that OCR confuses one by one, words."""
    draw = random.Random(0)
    single = sorted(c for c, others in OCR.items() if len(c) == 1 and all(len(o) == 1 for o in others))
    words = sorted({draw.choice(CONSONANTS) + draw.choice(VOWELS) + draw.choice(CONSONANTS) for _ in range(400)})
    ocr = []
    for _ in range(TEXTS):
        text = ""
        while len(text) < 200:
            new = draw.choice(single)
            text += new if not text or text[-1] + new not in OCR else ""
        ocr.append(text)
    return {
        "letters": ["".join(draw.choice(LETTERS) for _ in range(200)) for _ in range(TEXTS)],
        "ocr": ocr,
        "words": [" ".join(draw.sample(words, 40)) for _ in range(TEXTS)],
    }


def whole(text: str) -> list[str]:
    """The text as one token."""
    return [text]


def operations(rate: float) -> dict[str, tuple[str, Any]]:
    """Return per operation the sort of text and nlpaug's augmenter at this rate, without its limits on counts."""
    one: dict[str, Any] = {
        "aug_word_p": 1.0,
        "aug_char_p": rate,
        "aug_char_min": 0,
        "aug_char_max": None,
        "aug_word_max": None,
        "tokenizer": whole,
        "reverse_tokenizer": "".join,
        "min_char": 1,
    }
    plain: dict[str, Any] = {**one, "include_upper_case": False, "include_numeric": False}
    words: dict[str, Any] = {
        "aug_p": rate,
        "aug_min": 0,
        "aug_max": None,
        "tokenizer": str.split,
        "reverse_tokenizer": lambda tokens: " ".join(token for token in tokens if token),
    }
    confused = {c: list(others) for c, others in OCR.items() if len(c) == 1}
    return {
        "keyboard": ("letters", nac.KeyboardAug(include_special_char=False, **plain)),
        "ocr": ("ocr", nac.OcrAug(dict_of_path=confused, **one)),
        "char_insert": ("letters", nac.RandomCharAug("insert", spec_char="", **plain)),
        "char_replace": ("letters", nac.RandomCharAug("substitute", spec_char="", **plain)),
        "char_swap": ("letters", nac.RandomCharAug("swap", spec_char="", **plain)),
        "char_delete": ("letters", nac.RandomCharAug("delete", spec_char="", **plain)),
        "word_delete": ("words", naw.RandomWordAug("delete", **words)),
        "word_swap": ("words", naw.RandomWordAug("swap", **words)),
    }


def distances(augment: Callable[..., Any], given: list[str]) -> list[float]:
    """Return the distances of all repetitions on all texts."""
    out: list[float] = []
    for text in given:
        new = [augment(text)[0] for _ in range(REPEATS)]
        out += normalised_levenshtein([text] * REPEATS, new).tolist()
    return out


def main() -> None:
    """Write the file."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    given = texts()
    found: dict[str, dict[str, dict[str, float]]] = {}
    for rate in RATES:
        for name, (sort, augmenter) in operations(rate).items():
            far = distances(augmenter.augment, given[sort])
            mean, error = statistics.mean(far), statistics.stdev(far) / len(far) ** 0.5
            found.setdefault(name, {})[str(rate)] = {"mean": round(mean, 6), "error": round(error, 6)}
    record = {"nlpaug": version("nlpaug"), "texts": given, "distance": found}
    OUT.write_text(json.dumps(record, indent=1, ensure_ascii=True) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()

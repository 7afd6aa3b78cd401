"""Texts, and corruptions of text called by themselves, with random numbers of samples 0, 1, …."""

from __future__ import annotations

import unicodedata

import numpy as np

from mmaudit.probes.corruption import text_characters, text_surface, text_words
from mmaudit.randomness import Draws, id_keys

NAMES = (
    *("keyboard", "ocr", "homoglyphs", "char_insert", "char_replace", "char_delete", "char_swap"),
    *("casing", "punctuation", "whitespace"),
    *("word_delete", "word_repeat", "word_swap", "truncation", "synonym", "negation"),
)
REVIEW = (
    "Very pretty swimsuit. This swimsuit is very well made and even prettier in person. I'm 5'8\" and about "
    "145 pounds; I usually wear a size 6. I found the suit to run a bit small, because it wasn't flattering on my "
    "body type!"
)
QUESTION = "is there a red shape in the image?"
FAMILY = "👨\u200d👩\u200d👧"
UNICODE = (
    "Привет, как дела?", "שלום עולם, מה נשמע", "السلام عليكم ورحمة الله", "我爱你,这件衣服很好。", "नमस्ते दुनिया",
    f"e\u0301te\u0301 nai\u0308ve {FAMILY} 🇩🇪🇫🇷 👍🏽 #\ufe0f\u20e3 ok", "สวัสดีชาวโลก", "\u1112\u1161\u11ab글",
    "\ud83d\ude00 \ud800x",
)  # fmt: skip


REGIONAL = "".join(map(chr, range(0x1F1E6, 0x1F1FF + 1)))


def draws_of(n: int, seed: int = 0, first: int = 0) -> Draws:
    return Draws(f"stream {seed}", "text", id_keys(np.arange(first, first + n)))


def corrupted(name: str, texts: list[str], severity: float, seed: int = 0, first: int = 0) -> list[str]:
    module = next(m for m in (text_characters, text_surface, text_words) if hasattr(m, name))
    return getattr(module, name)(texts, severity, draws_of(len(texts), seed, first))


def characters(text: str) -> list[str]:
    """What a reader sees as one character each; the kernel's twin in plain Python."""
    out: list[str] = []
    for c in text:
        code, last = ord(c), out[-1] if out else ""
        extends = (
            unicodedata.category(c)[0] == "M"
            or code in (0x200C, 0x200D)
            or 0x1F3FB <= code <= 0x1F3FF
            or 0xE0020 <= code <= 0xE007F
            or 0x1160 <= code <= 0x11FF
            or 0xD7B0 <= code <= 0xD7FF
        )
        low = 0xDC00 <= code < 0xE000 and last and 0xD800 <= ord(last[-1]) < 0xDC00
        flag = c in REGIONAL and (len(last) - len(last.rstrip(REGIONAL))) % 2 == 1
        joined = last.endswith("\u200d") and not c.isspace()
        if last and not last.isspace() and (extends or low or flag or joined):
            out[-1] += c
        else:
            out.append(c)
    return out

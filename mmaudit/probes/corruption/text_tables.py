"""What characters are mistaken for each other, and from which alphabets random letters are drawn. Data only."""

from __future__ import annotations

# Letters that touch on a US QWERTY keyboard, rows shifted by half a key. Letters only: a digit is no likely slip
# for most of them, and would change what tokenisers see in another way than a misspelling does.
NEIGHBOURS = {
    "q": "wa", "w": "qeas", "e": "wrsd", "r": "etdf", "t": "ryfg", "y": "tugh", "u": "yihj", "i": "uojk", "o": "ipkl",
    "p": "ol", "a": "qwsz", "s": "weadzx", "d": "ersfxc", "f": "rtdgcv", "g": "tyfhvb", "h": "yugjbn", "j": "uihknm",
    "k": "iojlm", "l": "opk", "z": "asx", "x": "sdzc", "c": "dfxv", "v": "fgcb", "b": "ghvn", "n": "hjbm", "m": "jkn",
}  # fmt: skip
NEIGHBOURS |= {letter.upper(): near.upper() for letter, near in NEIGHBOURS.items()}

# Confusions of optical character recognition; each is read in both directions. The first table is nlpaug 1.1.11's
# (res/char/ocr/en.json, MIT licence), the second adds like shapes that it lacks, with those of two letters.
OCR_NLPAUG = {
    "0": "89oOD", "1": "47lI", "2": "zZ", "5": "8", "6": "b", "8": "sS@&", "9": "gq", "o": "u", "r": "k", "C": "G",
    "O": "DU", "E": "B",
}  # fmt: skip
OCR_SHAPES = (
    ("0", "Q"), ("O", "Q"), ("5", "S"), ("5", "s"), ("6", "G"), ("8", "B"), ("l", "I"), ("l", "i"), ("l", "t"),
    ("i", "j"), ("c", "e"), ("h", "b"), ("h", "n"), ("u", "v"), ("f", "t"), ("a", "o"), ("P", "F"), ("V", "Y"),
    ("rn", "m"), ("cl", "d"), ("vv", "w"), ("li", "h"), ("VV", "W"),
)  # fmt: skip

# Code points that look the same in most typefaces: Latin with its twins in Cyrillic, Greek, Armenian and phonetic
# letters, all of them listed in Unicode's confusables (UTS #39); read in both directions.
HOMOGLYPHS = {
    "a": "\u0430", "c": "\u0441", "d": "\u0501", "e": "\u0435", "g": "\u0261", "h": "\u04bb", "i": "\u0456",
    "j": "\u0458\u03f3", "l": "\u04c0", "o": "\u043e\u03bf", "p": "\u0440\u03c1", "q": "\u051b", "s": "\u0455",
    "u": "\u057d\u03c5", "v": "\u03bd\u0475", "w": "\u051d", "x": "\u0445", "y": "\u0443",
    "A": "\u0410\u0391", "B": "\u0412\u0392", "C": "\u0421\u03f9", "E": "\u0415\u0395", "H": "\u041d\u0397",
    "I": "\u0406\u0399", "J": "\u0408", "K": "\u041a\u039a", "M": "\u041c\u039c", "N": "\u039d", "O": "\u041e\u039f",
    "P": "\u0420\u03a1", "S": "\u0405", "T": "\u0422\u03a4", "X": "\u0425\u03a7", "Y": "\u04ae\u03a5", "Z": "\u0396",
}  # fmt: skip

# First and last letter or digit of alphabets, each of one case and without gaps. A random letter comes from the
# alphabet of the letter it replaces or follows.
ALPHABETS = (
    ("0", "9"), ("A", "Z"), ("a", "z"),
    ("\u0391", "\u03a1"), ("\u03a3", "\u03a9"), ("\u03b1", "\u03c9"),  # Greek
    ("\u0410", "\u042f"), ("\u0430", "\u044f"),  # Cyrillic
    ("\u0531", "\u0556"), ("\u0561", "\u0586"),  # Armenian
    ("\u05d0", "\u05ea"), ("\u0627", "\u063a"), ("\u0641", "\u064a"), ("\u0660", "\u0669"), ("\u06f0", "\u06f9"),
    ("\u0905", "\u0914"), ("\u0915", "\u0939"), ("\u0966", "\u096f"),  # Devanagari: vowels, consonants, digits
    ("\u0e01", "\u0e2e"), ("\u10d0", "\u10f0"),  # Thai consonants, Georgian
    ("\u3041", "\u3096"), ("\u30a1", "\u30fa"), ("\u4e00", "\u9fa5"), ("\uac00", "\ud7a3"),  # kana, Han, Hangul
)  # fmt: skip

# Marks that AEDA inserts between words (Karimi, Rossi and Prati 2021, arXiv 2108.13230).
AEDA_MARKS = ".;?:!,"


def both_ways(*pairs: tuple[str, str]) -> dict[str, tuple[str, ...]]:
    """Return per character (or two) what it may be taken for, when every pair may be read in either direction."""
    table: dict[str, list[str]] = {}
    for a, b in pairs:
        for one, other in ((a, b), (b, a)):
            if other not in table.setdefault(one, []):
                table[one].append(other)
    return {one: tuple(others) for one, others in table.items()}


OCR = both_ways(*((a, b) for a, others in OCR_NLPAUG.items() for b in others), *OCR_SHAPES)
LOOK_ALIKE = both_ways(*((a, b) for a, others in HOMOGLYPHS.items() for b in others))

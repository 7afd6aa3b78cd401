"""Coverage-guided fuzzing of one target with atheris, on Linux, with a Python and an environment that atheris knows:

    python3.11 -m venv .fuzz && .fuzz/bin/pip install -c constraints.txt -e . atheris hypothesis
    .fuzz/bin/python tests/fuzz/guided.py data.npz -runs=200000 -seed=1 -rss_limit_mb=4096

What stands behind the target's name goes to libFuzzer. Inputs are changed by `fuzz.mutators`, so that they stay of the
target's form, and kept where they reach code of mmaudit that none before them did. The first fault ends the run and
leaves the input in `crash-…`.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from random import Random

import atheris

sys.path.insert(0, str(Path(__file__).parents[1]))

with atheris.instrument_imports(include=["mmaudit"]):
    from fuzz.guard import watched
    from fuzz.mutators import mutated
    from fuzz.target import tried
    from fuzz.targets import BY_NAME

SECONDS = 5.0


def main() -> None:
    target = BY_NAME[sys.argv[1]]
    scratch = Path(tempfile.mkdtemp(prefix="fuzz-"))
    corpus = scratch / "corpus"
    corpus.mkdir()
    place = scratch / "place"
    place.mkdir()
    with atheris.instrument_imports(include=["mmaudit"]):
        ready = target.prepare(place)
        for number, seed in enumerate(ready.seeds):
            (corpus / str(number)).write_bytes(seed)
            tried(ready, seed)

    def change(data: bytes, most: int, seed: int) -> bytes:
        return mutated(target.form, data, Random(seed))[:most]

    def one(data: bytes) -> None:
        with watched(place, seconds=SECONDS, names_files=target.names_files):
            tried(ready, data)

    given = [sys.argv[0], str(corpus), "-max_len=262144", *sys.argv[2:]]
    atheris.Setup(given, one, custom_mutator=change)
    atheris.Fuzz()


if __name__ == "__main__":
    main()

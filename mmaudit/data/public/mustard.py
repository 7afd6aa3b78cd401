"""MUStARD: an utterance from a TV show; sarcastic or not (Castro et al. 2019, arXiv:1906.01815)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from mmaudit.data.cells import Cells, FileCells, Held
from mmaudit.data.columns import make_column
from mmaudit.data.decoding import decoder_of
from mmaudit.data.hdf5 import Hdf5Cells
from mmaudit.data.public.sets import PublicSet, load_json
from mmaudit.data.streamed import StreamedData
from mmaudit.errors import BadInput
from mmaudit.types import Task

_TABLE = "data/sarcasm_data.json"
_VISUAL = "data/features/utterances_final/resnet_pool5.hdf5"
_AUDIO = "data/audios/utterances_final"


def read_mustard(
    folder: str | os.PathLike[str],
    split: str | None = None,
    modalities: Any = None,
    *,
    audio: str = "audio,sample_rate=16000",
    whole: bool = False,
) -> StreamedData:
    """Read MUStARD from a copy of its repository, with the features or sounds that were made of its videos.

    Args:
        folder: holds `data/sarcasm_data.json`; for `visual` the ResNet features that its `visual/extract_features.py`
            writes, `data/features/utterances_final/resnet_pool5.hdf5`; for `audio` sounds as
            `data/audios/utterances_final/<id>.wav`.
        split: `all` (default); or the speaker-independent setting of the paper's code: `speaker_independent_test`
            (Friends) and `speaker_independent_train` (the other shows). The five folds of the paper are published as a
            pickle, which is not read.
        modalities: `text` (the utterance), `context` (the lines before it, one per line), `audio`, `visual` (series of
            ResNet features [frames, 2048]); left out: text, context and those of which there are files.
        audio: how sounds are decoded. The repository's script extracts AAC, which soundfile does not read; write WAV:
            `ffmpeg -i data/videos/utterances_final/ID.mp4 -vn data/audios/utterances_final/ID.wav`.
        whole: as in `StreamedData`.

    Groups: speaker, show; cluster: speaker. An utterance without context has no `context`.

    Raises:
        BadInput: a file is missing or is not as published.
        MissingExtra: `visual` needs h5py.
    """
    base = Path(folder)
    chosen = MUSTARD.split(split)
    MUSTARD.need(base, _TABLE)
    files = {"audio": _AUDIO, "visual": _VISUAL}
    if modalities is None:
        modalities = ("text", "context", *(name for name, file in files.items() if (base / file).exists()))
    names = MUSTARD.chosen(modalities)
    MUSTARD.need(base, *(files[name] for name in names if name in files))
    table = load_json(base / _TABLE)
    try:
        records = [(key, record, bool(record["sarcasm"])) for key, record in table.items()]
        shows = [record.get("show") for _, record, _ in records]
        texts = {
            "text": [record["utterance"] for _, record, _ in records],
            "context": ["\n".join(record["context"]) or None for _, record, _ in records],
        }
        speakers = [record["speaker"] for _, record, _ in records]
    except (AttributeError, KeyError, TypeError) as error:
        raise BadInput(f"MUStARD: {_TABLE} is not as published ({error!r}); copy it again.") from error
    rows = np.arange(len(records))
    if chosen != "all":
        if None in shows:
            raise BadInput(f"MUStARD: {_TABLE} does not name the shows, so it is an early version; get the newest.")
        friends = np.array([show == "FRIENDS" for show in shows], np.bool_)
        rows = np.flatnonzero(friends if chosen.endswith("_test") else ~friends)
    keys = [records[row][0] for row in rows]
    cells: dict[str, Cells] = {}
    kinds: dict[str, Any] = {}
    for name in names:
        if name in texts:
            cells[name] = Held(make_column(name, [texts[name][row] for row in rows]))
        elif name == "audio":
            kinds[name], decoder = decoder_of(name, audio)
            cells[name] = FileCells(name, base / _AUDIO, [f"{key}.wav" for key in keys], decoder)
        else:
            kinds[name] = "series,layout=TC"
            cells[name] = Hdf5Cells(base / _VISUAL, keys)
    show = {} if None in shows else {"show": [shows[row] for row in rows]}
    return StreamedData(
        cells,
        [int(records[row][2]) for row in rows],
        Task.classification(("not sarcastic", "sarcastic")),
        kinds=kinds,
        ids=keys,
        groups={"speaker": [speakers[row] for row in rows], **show},
        cluster=[speakers[row] for row in rows],
        source=f"MUStARD, {chosen}",
        whole=whole,
    )


MUSTARD = PublicSet(
    "mustard",
    "MUStARD",
    "github.com/soujanyaporia/MUStARD; its README links to the videos.",
    (_TABLE, f"{_VISUAL} (made by visual/extract_features.py)", f"{_AUDIO}/1_60.wav … (taken out of the videos)"),
    ("all", "speaker_independent_test", "speaker_independent_train"),
    ("text", "context", "audio", "visual"),
    read_mustard,
)

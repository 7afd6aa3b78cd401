"""CREMA-D: actors speak a sentence in one of six emotions (Cao et al. 2014, doi:10.1109/TAFFC.2014.2336244)."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from mmaudit.data.cells import Cells, FileCells
from mmaudit.data.decoding import decoder_of
from mmaudit.data.public.sets import PublicSet
from mmaudit.data.streamed import StreamedData
from mmaudit.data.tables import load_table
from mmaudit.errors import BadInput
from mmaudit.types import Task

EMOTIONS = {"ANG": "anger", "DIS": "disgust", "FEA": "fear", "HAP": "happy", "NEU": "neutral", "SAD": "sad"}
# Actor, sentence, emotion, level: 1001_DFA_ANG_XX. One published clip writes its level X.
_CLIP = re.compile(r"(\d{4})_([A-Z]{3})_(ANG|DIS|FEA|HAP|NEU|SAD)_(LO|MD|HI|XX|X)")


def read_crema_d(
    folder: str | os.PathLike[str],
    split: str | None = None,
    modalities: Any = None,
    *,
    image: str = "image",
    audio: str = "audio,sample_rate=16000",
    frames: str = "Frames",
    whole: bool = False,
) -> StreamedData:
    """Read CREMA-D from a copy of its repository: `AudioWAV/` and, for pictures, frames taken out of `VideoFlash/`.

    Args:
        folder: holds `AudioWAV/1001_DFA_ANG_XX.wav` … and `VideoDemographics.csv`.
        split: only `all`: the publishers make no split. Clips of an actor are dependent (`cluster`), so split by actor:
            `subset(data, numpy.flatnonzero(data.groups["actor"] > "1080"))`.
        modalities: `audio`, `image` or both; left out: both where there are frames, else audio.
        image: how frames are decoded, as in `decoder_of`. A clip's picture is the middle one of its frames.
        audio: how sounds are decoded; files are WAV at 16 kHz.
        frames: folder of frames, `Frames/<clip>/*.jpg`. The videos are Flash files, which mmaudit does not decode; take
            the frames out with `ffmpeg -i VideoFlash/CLIP.flv -vf fps=2 Frames/CLIP/%03d.jpg`.
        whole: as in `StreamedData`.

    A clip without frames has no picture. Groups: actor, sentence, level, and sex and race where the table has them.

    Raises:
        BadInput: a file is missing or is not named as published.
    """
    base = Path(folder)
    chosen = CREMA_D.split(split)
    CREMA_D.need(base, "AudioWAV", "VideoDemographics.csv")
    if modalities is None and not (base / frames).is_dir():
        modalities = ("audio",)
    names = CREMA_D.chosen(modalities)
    if "image" in names and not (base / frames).is_dir():
        raise BadInput(
            f"CREMA-D: {base} has no folder {frames!r}; take frames out of the videos first: "
            "ffmpeg -i VideoFlash/CLIP.flv -vf fps=2 Frames/CLIP/%03d.jpg."
        )
    clips = sorted(path.stem for path in (base / "AudioWAV").iterdir() if path.suffix == ".wav")
    parsed = [_CLIP.fullmatch(clip) for clip in clips]
    if not clips or None in parsed:
        odd = clips[parsed.index(None)] if clips else "none"
        raise BadInput(f"CREMA-D: AudioWAV holds {odd!r}; expected names such as 1001_DFA_ANG_XX.wav.")
    parts = [found.groups() for found in parsed if found is not None]
    cells: dict[str, Cells] = {}
    kinds: dict[str, Any] = {}
    for name in names:
        kinds[name], decoder = decoder_of(name, audio if name == "audio" else image)
        files = [f"AudioWAV/{clip}.wav" for clip in clips]
        cells[name] = FileCells(
            name, base, files if name == "audio" else [_middle(base, frames, clip) for clip in clips], decoder
        )
    return StreamedData(
        cells,
        [EMOTIONS[emotion] for _, _, emotion, _ in parts],
        Task.classification(tuple(EMOTIONS.values())),
        kinds=kinds,
        ids=clips,
        groups={
            "actor": [actor for actor, _, _, _ in parts],
            "sentence": [sentence for _, sentence, _, _ in parts],
            "level": ["XX" if level == "X" else level for _, _, _, level in parts],
            **_people(base, [actor for actor, _, _, _ in parts]),
        },
        cluster=[actor for actor, _, _, _ in parts],
        source=f"CREMA-D, {chosen}; {kinds['audio'].sample_rate:g} Hz" if "audio" in names else f"CREMA-D, {chosen}",
        whole=whole,
    )


def _middle(base: Path, frames: str, clip: str) -> str | None:
    folder = base / frames / clip
    found = sorted(path.name for path in folder.iterdir() if path.suffix in (".jpg", ".png")) if folder.is_dir() else []
    return f"{frames}/{clip}/{found[len(found) // 2]}" if found else None


def _people(base: Path, actors: list[str]) -> dict[str, list[str | None]]:
    table = load_table(base / "VideoDemographics.csv", ["ActorID", "Sex", "Race"], ["ActorID", "Sex", "Race"])
    known = {row["ActorID"]: row for row in table.to_dict("records")}
    return {name.lower(): [known.get(actor, {}).get(name) for actor in actors] for name in ("Sex", "Race")}


CREMA_D = PublicSet(
    "crema_d",
    "CREMA-D",
    "git lfs clone of github.com/CheyneyComputerScience/CREMA-D (Open Database License).",
    ("AudioWAV/1001_DFA_ANG_XX.wav …", "VideoDemographics.csv", "Frames/1001_DFA_ANG_XX/001.jpg … (taken by you)"),
    ("all",),
    ("audio", "image"),
    read_crema_d,
    {},
    "none published as a list; Git LFS checks every file by its SHA-256 as it is fetched (git lfs fsck)",
)

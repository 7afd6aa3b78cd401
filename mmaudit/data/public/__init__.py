"""Loaders of public sets that the field uses, from a local folder in the layout that their publishers ship."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmaudit.data.confined import Root
from mmaudit.data.public.av_mnist import AV_MNIST
from mmaudit.data.public.cmu_mosi import CMU_MOSEI, CMU_MOSI
from mmaudit.data.public.crema_d import CREMA_D
from mmaudit.data.public.hateful_memes import HATEFUL_MEMES
from mmaudit.data.public.mm_imdb import MM_IMDB
from mmaudit.data.public.mustard import MUSTARD
from mmaudit.data.public.sets import PublicSet, file_sha256
from mmaudit.data.public.symile_mimic import SYMILE_MIMIC
from mmaudit.errors import BadInput, UnknownName

if TYPE_CHECKING:
    from mmaudit.data.dataset import Dataset

__all__ = ["PUBLIC", "PublicSet", "read_public", "verify_public"]

PUBLIC: dict[str, PublicSet] = {
    public.name: public
    for public in (AV_MNIST, CMU_MOSEI, CMU_MOSI, CREMA_D, HATEFUL_MEMES, MM_IMDB, MUSTARD, SYMILE_MIMIC)
}
"""The sets by name; each says where it comes from, what it looks like and which splits it has."""

_SUMS = "SHA256SUMS.txt"
_TAKES_TRUST = ("cmu_mosi", "cmu_mosei")


def read_public(
    name: str,
    folder: str | os.PathLike[str],
    *,
    split: str | None = None,
    modalities: Any = None,
    trust: bool = False,
    **options: Any,
) -> Dataset:
    """Read a public data set from a local folder; nothing is downloaded.

    Args:
        name: one of `PUBLIC`.
        folder: its files, in the layout that its publishers ship: `PUBLIC[name].layout`.
        split: one of `PUBLIC[name].splits`; left out: the first.
        modalities: some of `PUBLIC[name].modalities`.
        trust: for the sets that are published as pickles: let them be read.
        options: further ones of the loader, such as `image="image,size=224x224"`; see `help(PUBLIC[name].read)`.

    Raises:
        UnknownName: no such set.
        BadInput: a file is missing (the message says where to get it) or is not as published.
    """
    public = _known(name)
    if not Path(folder).is_dir():
        raise BadInput(f"{public.title}: folder {os.fspath(folder)!r} does not exist. Get the data: {public.source}")
    if name in _TAKES_TRUST:
        options["trust"] = trust
    data: Dataset = public.read(folder, split, modalities, **options)
    return data


def verify_public(name: str, folder: str | os.PathLike[str]) -> dict[str, str]:
    """Compare a public set's files with the SHA-256 digests that were published.

    Reads each of these files once. Returns the digest of every file that was compared, by its path in the folder.

    Raises:
        UnknownName: no such set.
        BadInput: a file differs from what was published; or there is nothing to compare: no digest is published for
            the set, or no file that has one is in the folder.
    """
    public, base = _known(name), Path(folder)
    if not base.is_dir():
        raise BadInput(f"{public.title}: folder {os.fspath(folder)!r} does not exist. Get the data: {public.source}")
    expected: list[tuple[Path, tuple[str, ...]]] = []
    for pattern, digests in public.checksums.items():
        if pattern == _SUMS:
            expected += _listed(public, base)
        else:
            expected += [(path, digests) for path in sorted(base.glob(pattern)) if path.is_file()]
    if not expected:
        what = f"has none of {', '.join(public.checksums)}" if public.checksums else "cannot be verified"
        raise BadInput(f"{public.title}: {base} {what}; checksums: {public.checksum_source}.")
    found: dict[str, str] = {}
    for path, digests in expected:
        digest = file_sha256(path)
        if digest not in digests:
            raise BadInput(
                f"{public.title}: {path.name} has SHA-256 {digest}, but {' or '.join(digests)} was published "
                f"({public.checksum_source}); it was changed or cut short, so get it anew: {public.source}"
            )
        found[str(path.relative_to(base))] = digest
    return found


def _listed(public: PublicSet, base: Path) -> list[tuple[Path, tuple[str, ...]]]:
    """Return the data files that SHA256SUMS.txt lists and the folder has."""
    public.need(base, _SUMS)
    root = Root(base)
    listed: list[tuple[Path, tuple[str, ...]]] = []
    for line in (base / _SUMS).read_text(encoding="utf-8", errors="replace").splitlines():
        digest, _, name = line.strip().partition(" ")
        name = name.strip().lstrip("*")
        if not name or Path(name).is_absolute() or ".." in Path(name).parts:
            continue
        if "\0" not in name and "://" not in name and root.find(name, _SUMS):
            listed.append((base / name, (digest.lower(),)))
    return listed


def _known(name: str) -> PublicSet:
    if name not in PUBLIC:
        raise UnknownName("public data set", name, PUBLIC)
    return PUBLIC[name]

"""What this installation can do: packages, extras that are missing and what for, cores, memory, devices.

`mmaudit doctor` without arguments prints it. What is needed is read from mmaudit's own metadata, so an extra that is
added to pyproject.toml is listed without a change here; only what it is good for stands below.
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

from mmaudit import threads

PURPOSES: Mapping[str, str] = {
    "audio": "reading sound files",
    "dashboard": "browsing runs sample by sample: mmaudit dashboard",
    "datasets": "data saved by Hugging Face datasets",
    "demo": "the demo's images and questions: mmaudit demo",
    "hdf5": "feature files of CMU-MOSI and CMU-MOSEI (.csd)",
    "http": "models behind an HTTP endpoint",
    "lightning": "Lightning checkpoints",
    "onnx": "ONNX models",
    "ray": "audits on a Ray cluster",
    "remote": "run folders on object stores, at any address that fsspec knows",
    "s3": "run folders on S3 and what speaks like it",
    "skops": "scikit-learn models saved by skops",
    "transformers": "Hugging Face models from a local folder",
    "webdataset": "data in WebDataset tar shards",
    "zarr": "data in zarr arrays",
}
"""What each extra is good for; extras for those who work on mmaudit itself are not listed."""

_FOR_DEVELOPERS = ("docs", "test")
_GIB = 2**30
_CGROUPS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


@dataclass(frozen=True)
class Package:
    """A package that is needed: its name, the versions allowed (`">=1.19"`) and the one installed, `None` if none."""

    name: str
    needed: str
    installed: str | None

    @property
    def ok(self) -> bool:
        """Whether an allowed version is installed."""
        from packaging.specifiers import SpecifierSet

        return self.installed is not None and SpecifierSet(self.needed).contains(self.installed, prereleases=True)


@dataclass(frozen=True)
class Extra:
    """An optional part of mmaudit: what it is good for, and the packages it needs."""

    name: str
    purpose: str
    packages: tuple[Package, ...]

    @property
    def ok(self) -> bool:
        """Whether all its packages are installed."""
        return all(package.ok for package in self.packages)

    @property
    def command(self) -> str:
        """The command that installs it."""
        return f"pip install 'mmaudit[{self.name}]'"


@dataclass(frozen=True)
class Environment:
    """What an audit would run on here.

    `memory` and `available` are bytes, `None` where the system does not say; `memory` is the limit of the container
    where that is lower. `devices` are those torch can compute on, the CPU first; `providers` those of onnxruntime.
    """

    mmaudit: str
    python: str
    system: str
    packages: tuple[Package, ...]
    extras: tuple[Extra, ...]
    cores: int
    threads: int
    memory: int | None
    available: int | None
    devices: tuple[str, ...]
    providers: tuple[str, ...]

    @property
    def problems(self) -> list[str]:
        """What keeps mmaudit from working at all: needed packages that are missing or too old. No extra is needed."""
        return [
            f"{p.name} {p.installed or 'is not installed'}, needed is {p.needed}; run: pip install '{p.name}{p.needed}'"
            for p in self.packages
            if not p.ok
        ]

    def plain(self) -> dict[str, Any]:
        """Return it as JSON values; every extra and package says whether it is `ok`."""
        found = asdict(self)
        found["packages"] = [asdict(p) | {"ok": p.ok} for p in self.packages]
        found["extras"] = [asdict(e) | {"ok": e.ok, "command": e.command} for e in self.extras]
        return found | {"problems": self.problems}

    def lines(self) -> list[str]:
        """Return it as text, a line per fact: `ok`, `FAIL`, `note` for what could be added."""
        said = [f"ok    mmaudit {self.mmaudit}, Python {self.python}, {self.system}"]
        said += [f"FAIL  {problem}" for problem in self.problems]
        if not self.problems:
            said.append(f"ok    all {len(self.packages)} packages that mmaudit needs are installed")
        many = f"{self.cores} core{'' if self.cores == 1 else 's'}"
        said.append(f"ok    {many} for this process, {self.threads} used by kernels (MMAUDIT_THREADS changes that)")
        if self.memory is not None:
            free = "" if self.available is None else f", {self.available / _GIB:.1f} GiB of it free now"
            said.append(f"ok    {self.memory / _GIB:.1f} GiB of memory{free}")
        said.append(f"ok    torch computes on: {', '.join(self.devices) or 'nothing, it cannot be imported'}")
        if self.providers:
            said.append(f"ok    onnxruntime computes on: {', '.join(self.providers)}")
        said += [f"ok    extra {e.name}: {e.purpose}" for e in self.extras if e.ok]
        for extra in self.extras:
            if not extra.ok:
                lacking = ", ".join(f"{p.name}{p.needed}" for p in extra.packages if not p.ok)
                said.append(f"note  extra {extra.name} is missing ({lacking}): {extra.purpose}; run: {extra.command}")
        return said


def survey() -> Environment:
    """Look at this installation and this machine. Imports torch, and onnxruntime where it is installed."""
    needed, optional = requirements()
    memory, available = _memory()
    usable = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    return Environment(
        mmaudit=metadata.version("mmaudit"),
        python=platform.python_version(),
        system=f"{platform.system()} {platform.machine()}",
        packages=needed,
        extras=tuple(Extra(name, PURPOSES.get(name, "see pyproject.toml"), found) for name, found in optional.items()),
        cores=len(usable),
        threads=threads.workers(),
        memory=memory,
        available=available,
        devices=_devices(),
        providers=_providers(),
    )


def requirements() -> tuple[tuple[Package, ...], dict[str, tuple[Package, ...]]]:
    """Return the packages that mmaudit needs, and those of each extra for users, as its metadata declares them."""
    from packaging.requirements import Requirement

    about = metadata.metadata("mmaudit")
    extras = [name for name in about.get_all("Provides-Extra") or [] if name not in _FOR_DEVELOPERS]
    declared = [Requirement(text) for text in metadata.requires("mmaudit") or []]
    always = [r for r in declared if r.marker is None or r.marker.evaluate({"extra": ""})]
    found = {
        extra: tuple(
            _package(r.name, str(r.specifier))
            for r in declared
            if r not in always and r.marker is not None and r.marker.evaluate({"extra": extra})
        )
        for extra in sorted(extras)
    }
    return tuple(_package(r.name, str(r.specifier)) for r in always), found


def _package(name: str, needed: str) -> Package:
    try:
        installed: str | None = metadata.version(name)
    except metadata.PackageNotFoundError:
        installed = None
    return Package(name, needed, installed)


def _memory() -> tuple[int | None, int | None]:
    """Bytes of memory this process may use, and how many are free now."""
    try:
        total: int | None = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # not on this system
        total = None
    for path in _CGROUPS:
        limit = _text(path).strip()
        if limit.isdecimal():  # else "max": no limit
            total = int(limit) if total is None else min(total, int(limit))
    free = re.search(r"^MemAvailable:\s+(\d+) kB", _text("/proc/meminfo"), re.MULTILINE)
    available = int(free[1]) * 1024 if free else None
    if total is not None and available is not None:
        available = min(total, available)
    return total, available


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError:
        return ""


def _devices() -> tuple[str, ...]:
    """What torch can compute on."""
    try:
        torch = import_module("torch")
    except (ImportError, OSError):  # a broken installation fails on a library of its own
        return ()
    found = ["cpu"]
    for number in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        card = torch.cuda.get_device_properties(number)
        found.append(f"cuda:{number} ({card.name}, {card.total_memory / _GIB:.0f} GiB)")
    if torch.backends.mps.is_available():
        found.append("mps")
    return tuple(found)


def _providers() -> tuple[str, ...]:
    """What onnxruntime can compute on; empty where it is not installed."""
    try:
        runtime = import_module("onnxruntime")
    except (ImportError, OSError):
        return ()
    return tuple(runtime.get_available_providers())

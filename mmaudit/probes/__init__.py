"""Every probe. Importing this package registers them all; a new plug-in file is named here."""

from mmaudit.probes import adversarial, control, mismatch, missing

# TEMPORARY while the library is being written: every module that imports, image.py only without its successors.
import importlib, pkgutil, sys  # noqa
from mmaudit.probes import corruption as _folder  # noqa
_names = [m.name for m in pkgutil.iter_modules(_folder.__path__)]
if {"image_noise", "image_blur"} <= set(_names) and "image" in _names:
    _names.remove("image")
elif "image" in _names:
    _names = [n for n in _names if n not in ("image_noise", "image_blur")]
_loaded = []
for _name in _names:
    if _name in ("text",):
        continue
    try:
        _loaded.append(importlib.import_module(f"mmaudit.probes.corruption.{_name}"))
    except Exception as _error:
        print(f"TEMPORARY: {_name} does not import yet: {_error!r}", file=sys.stderr)
for _name in ("missing_rates", "mechanisms", "patterns", "shift", "conflict", "scenario", "surface"):
    try:
        _loaded.append(importlib.import_module(f"mmaudit.probes.{_name}"))
    except Exception as _error:
        print(f"TEMPORARY: {_name} does not import yet: {_error!r}", file=sys.stderr)

# After the folder `corruption/` of the same name: in this package the name means the decorator.
from mmaudit.probes.base import BASELINES, POOLS, Declined, Probe, Scope, corruption, probe, probes  # isort: skip
from mmaudit.probes.missing import present_subset
from mmaudit.probes.source import Source

PLUGINS = (adversarial, control, mismatch, missing, *_loaded)

__all__ = [
    "BASELINES",
    "POOLS",
    "Declined",
    "Probe",
    "Scope",
    "Source",
    "corruption",
    "present_subset",
    "probe",
    "probes",
]

"""Every probe. Importing this package registers them all; a new plug-in file is named here."""

from mmaudit.probes import control, mismatch, missing
from mmaudit.probes.corruption import image, numeric, text

# After the folder `corruption/` of the same name: in this package the name means the decorator.
from mmaudit.probes.base import BASELINES, POOLS, Declined, Probe, Scope, corruption, probe, probes  # isort: skip
from mmaudit.probes.missing import present_subset
from mmaudit.probes.source import Source

PLUGINS = (control, mismatch, missing, image, numeric, text)

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

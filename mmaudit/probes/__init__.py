"""Every probe. Importing this package registers them all; a new plug-in file is named here."""

from mmaudit.probes import (
    adversarial,
    conflict,
    control,
    mechanisms,
    mismatch,
    missing,
    missing_rates,
    patterns,
    scenario,
    shift,
    surface,
)
from mmaudit.probes.corruption import (
    audio_filter,
    audio_level,
    audio_noise,
    audio_stretch,
    audio_time,
    embedding,
    image_blur,
    image_digital,
    image_geometry,
    image_noise,
    image_weather,
    numeric,
    series_time,
    series_values,
    tabular,
    text_characters,
    text_surface,
    text_words,
)

# After the folder `corruption/` of the same name: in this package the name means the decorator.
from mmaudit.probes.base import Probe, corruption, probe, probes  # isort: skip
from mmaudit.probes.missing import present_subset
from mmaudit.probes.scope import BASELINES, POOLS, Declined, Scope
from mmaudit.probes.source import Source

PLUGINS = (
    *(adversarial, conflict, control, mechanisms, mismatch, missing, missing_rates, patterns, scenario, shift, surface),
    *(audio_filter, audio_level, audio_noise, audio_stretch, audio_time),
    *(embedding, numeric, series_time, series_values, tabular),
    *(image_blur, image_digital, image_geometry, image_noise, image_weather),
    *(text_characters, text_surface, text_words),
)

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

"""What targets import, imported once: a campaign's processes are forked from one that holds it already."""

import safetensors.torch  # noqa: F401
import torch  # noqa: F401

import fuzz.targets  # noqa: F401
import mmaudit.browse.answers
import mmaudit.browse.kept
import mmaudit.browse.library
import mmaudit.compared.opening
import mmaudit.data
import mmaudit.gate.reading
import mmaudit.models.torch_files
import mmaudit.options
import mmaudit.panel.file
import mmaudit.plan
import mmaudit.reference.saved
import mmaudit.render.theme
import mmaudit.report
import mmaudit.score  # noqa: F401

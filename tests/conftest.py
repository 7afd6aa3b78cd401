"""Every test is deterministic and leaves nothing behind: Hypothesis draws the same examples in every run."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("mmaudit", derandomize=True, database=None, deadline=None)
settings.load_profile("mmaudit")

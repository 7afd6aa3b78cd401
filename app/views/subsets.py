"""Subsets: what each modality adds, how it is when one is missing, and what the subsets of a model should not do."""

from __future__ import annotations

from mmaudit.app.parts import state, without

without.show(state.opened())

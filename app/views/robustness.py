"""Robustness: what each perturbation costs, by severity, together, out of step and in conflict."""

from __future__ import annotations

from mmaudit.app.parts import harm, state

harm.show(state.opened())

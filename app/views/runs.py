"""Runs: every run found, what it audited, how it came out, and what is wrong with a damaged one."""

from __future__ import annotations

from mmaudit.app.parts import run_list, state

run_list.show(state.listing())

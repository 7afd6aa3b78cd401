"""Method: what was run, what was not, limits, controls, checks, versions, and what the numbers mean."""

from __future__ import annotations

from mmaudit.app.parts import account, state

account.show(state.opened())

"""Overview: the verdict, the headline numbers, the controls, and the findings, worst first, each with its evidence."""

from __future__ import annotations

from mmaudit.app.parts import findings, headline, state

opened = state.opened()
headline.show(opened)
findings.show(opened)

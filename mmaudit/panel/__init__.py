"""Reference methods beside the audited model: read from stored answers, compared on the same samples, never retrained.

Right of the run: no torch, no model, no data set. `read.py` reads what a training left, `results.py` compares,
`intervals.py` says how sure that is, `line.py` what a clean value makes one expect, `values.py` is what comes out.
`file.py` does all of it for a run; it loads SciPy and numba, which drawing a panel does not need.
"""

from mmaudit.panel.lines import lines
from mmaudit.panel.panel import Panel
from mmaudit.panel.values import Group, Line, Method, Row

__all__ = ["Group", "Line", "Method", "Panel", "Row", "lines"]

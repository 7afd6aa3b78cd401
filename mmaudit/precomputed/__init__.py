"""Audits without the model: perturbed inputs are written to files, answered elsewhere, and a table comes back.

1. `write_inputs(data, "inputs", suite="quick")` writes every condition's inputs; `mmaudit write-inputs` does.
2. You answer them wherever the model is: `read_inputs("inputs")` gives them back in batches.
3. `audit_predictions(table, data, outputs="logits", inputs="inputs", out="run")` makes the audit's report;
   `mmaudit audit-predictions` does. The table has a row per sample and condition.

A table of the answers to clean inputs alone is enough for a report of accuracy, calibration and groups.
"""

from mmaudit.precomputed.audit import audit_predictions
from mmaudit.precomputed.reading import Inputs, read_inputs
from mmaudit.precomputed.writing import write_inputs

__all__ = ["Inputs", "audit_predictions", "read_inputs", "write_inputs"]

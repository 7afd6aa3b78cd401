"""The metric that headline, charts and findings of a task rest on."""

from __future__ import annotations

from mmaudit.types import TaskKind

PRIMARY: dict[TaskKind, str] = {
    "classification": "accuracy",
    "multilabel": "average_precision",
    "regression": "rmse",
    # Ranks 1, 2 and 9 of a large bank differ, which top-1 does not see; see decision 24.
    "retrieval": "mrr",
}

# By what groups of samples are held against each other, where it is not the primary metric: average precision falls
# where a label is rarer, although the model ranks as well.
BETWEEN_GROUPS: dict[TaskKind, str] = {"multilabel": "auroc"}

"""A task in words, as reports, messages and the dashboard say it."""

from __future__ import annotations

import pytest

from mmaudit import Task


@pytest.mark.parametrize(
    ("task", "said"),
    [
        (Task.classification(10), "classification, 10 classes"),
        (Task.multilabel(["wet"]), "multilabel, 1 label"),
        (Task.multilabel(3), "multilabel, 3 labels"),
        (Task.regression(), "regression of 1 number"),
        (Task.regression(2, unit="kg"), "regression of 2 numbers in kg"),
        (Task.regression(["valence", "arousal"]), "regression of valence, arousal"),
        (Task.regression(list("abcdef"), unit="m"), "regression of a, b, c, d and 2 more in m"),
        (Task.retrieval(("image", "sound"), "text"), "retrieval of text given image and sound"),
        (Task.retrieval("image", "text", bank=128), "retrieval of text given image, in batches of 128"),
    ],
)
def test_a_task_is_said_in_words(task: Task, said: str) -> None:
    assert task.said == said

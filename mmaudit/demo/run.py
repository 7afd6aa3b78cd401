"""The demo's model and data set, ready for an audit."""

from __future__ import annotations

import mmaudit
from mmaudit.data import Dataset
from mmaudit.models import Model


def model() -> Model:
    """The trained easy-VQA network, wrapped: it reads an image and a question and answers with 13 logits."""
    from mmaudit.demo.model import bag_of_words, load_model

    return mmaudit.TorchModel(
        load_model(), ["image", "question"], outputs="logits", prepare={"question": bag_of_words}, name="easy-VQA demo"
    )


def data(split: str = "test") -> Dataset:
    """A split of easy-VQA, questions about the same image as one cluster; needs the extra `demo`.

    Raises:
        MissingExtra: the package easy-vqa is not installed.
    """
    from mmaudit.demo import easy_vqa

    rows = easy_vqa.load("train" if split == "train" else "test")
    return mmaudit.ArrayData(
        {"image": mmaudit.Indexed(rows.images, rows.image_index), "question": rows.questions},
        rows.answers,
        mmaudit.Task.classification(rows.classes),
        ids=rows.sample_ids,
        groups={"question type": rows.kind},
        # Both splits count their images from 0.
        cluster=rows.image_index if split == "test" else [f"train {image}" for image in rows.image_index.tolist()],
    )

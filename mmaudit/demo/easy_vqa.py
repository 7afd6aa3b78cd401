"""Read the easy-VQA data set from the files that the PyPI package `easy-vqa` bundles, without a network."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from importlib import import_module, resources
from importlib.resources.abc import Traversable
from typing import Literal

import numpy as np
import numpy.typing as npt

from mmaudit.errors import MissingExtra

YES_NO = ("yes", "no")
SHAPES = ("circle", "rectangle", "triangle")
COLOURS = ("black", "blue", "brown", "gray", "green", "red", "teal", "yellow")

# The order of the model's outputs: the saved weights depend on it.
CLASSES: tuple[str, ...] = YES_NO + SHAPES + COLOURS

_KIND = dict.fromkeys(YES_NO, "yes/no") | dict.fromkeys(SHAPES, "shape") | dict.fromkeys(COLOURS, "colour")


@dataclass(frozen=True, slots=True, eq=False)
class EasyVQA:
    """One split: n questions, each about one of n_images images.

    images: uint8 of shape [n_images, 64, 64, 3], rows by columns by RGB.
    image_index: int64 of shape [n], the position in `images` of each question's image.
    questions: the n questions, as asked.
    answers: int64 of shape [n], positions in `classes`.
    classes: the 13 answers.
    sample_ids: n names, the split and the row number, such as "test-00017".
    kind: what each question asks for: "colour", "shape" or "yes/no".
    """

    images: npt.NDArray[np.uint8]
    image_index: npt.NDArray[np.int64]
    questions: tuple[str, ...]
    answers: npt.NDArray[np.int64]
    classes: tuple[str, ...]
    sample_ids: tuple[str, ...]
    kind: tuple[str, ...]


def load(split: Literal["train", "test"]) -> EasyVQA:
    """Read a split: 38,575 questions on 4,000 images ("train") or 9,673 on 1,000 ("test").

    Raises MissingExtra when easy-vqa or Pillow is not installed.
    """
    folder = _data_folder() / split
    rows: list[tuple[str, str, int]] = json.loads((folder / "questions.json").read_text(encoding="utf-8"))
    questions, answers, image_numbers = zip(*rows, strict=True)
    # Only images that a question names are read, in the order of their numbers.
    numbers, image_index = np.unique(np.asarray(image_numbers, dtype=np.int64), return_inverse=True)
    position = {name: index for index, name in enumerate(CLASSES)}
    return EasyVQA(
        images=np.stack([_read_image(folder / "images" / f"{number}.png") for number in numbers]),
        image_index=image_index.astype(np.int64),
        questions=questions,
        answers=np.asarray([position[answer] for answer in answers], dtype=np.int64),
        classes=CLASSES,
        sample_ids=tuple(f"{split}-{row:05d}" for row in range(len(rows))),
        # In easy-VQA a question's wording fixes its answer's type, so this does not give the answer away.
        kind=tuple(_KIND[answer] for answer in answers),
    )


def _data_folder() -> Traversable:
    try:
        import_module("PIL.Image")
    except ModuleNotFoundError as error:
        raise MissingExtra("pillow", "demo") from error
    try:
        return resources.files("easy_vqa") / "data"
    except ModuleNotFoundError as error:
        raise MissingExtra("easy-vqa", "demo") from error


def _read_image(file: Traversable) -> npt.NDArray[np.uint8]:
    from PIL import Image

    with Image.open(io.BytesIO(file.read_bytes())) as image:
        return np.asarray(image.convert("RGB"), dtype=np.uint8)

"""Train the demo's model on easy-VQA and write its weights and a record of the training.

    python scripts/train_demo.py

Run at the repository's root with the package and its demo extra installed. It takes about 30 seconds on two CPU
cores and writes mmaudit/demo/weights.safetensors and mmaudit/demo/training.json. The same seed, torch
version, thread count and processor type give the same weights.
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import safetensors.torch
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

import mmaudit.demo.model as demo
from mmaudit.demo import easy_vqa

FOLDER = Path(demo.__file__).parent
THREADS = 2
VALIDATION_IMAGES = 400
IMAGES_PER_BATCH = 32
PEAK_LEARNING_RATE = 3e-3


class Split:
    """An easy-VQA split as tensors, with the rows of each image at hand."""

    def __init__(self, data: easy_vqa.EasyVQA) -> None:
        self.images = torch.from_numpy(data.images)
        self.image_index = torch.from_numpy(data.image_index)
        self.questions = torch.from_numpy(demo.bag_of_words(data.questions))
        self.answers = torch.from_numpy(data.answers)
        order = np.argsort(data.image_index, kind="stable")
        ends = np.cumsum(np.bincount(data.image_index, minlength=len(data.images)))
        self.rows_of = [torch.from_numpy(rows) for rows in np.split(order, ends[:-1])]


def batch_logits(model: demo.EasyVQANet, split: Split, images: Tensor) -> tuple[Tensor, Tensor]:
    """Logits and true answers of every question about the given images; each image is encoded once."""
    groups = [split.rows_of[int(image)] for image in images]
    rows = torch.cat(groups)
    owner = torch.repeat_interleave(torch.tensor([len(group) for group in groups]))
    features = model.encode_image(split.images[images])[owner]
    return model.answer(features, model.question_encoder(split.questions[rows])), split.answers[rows]


@torch.inference_mode()
def evaluate(model: demo.EasyVQANet, split: Split, images: Tensor) -> tuple[float, float]:
    """Accuracy (0 to 1) and mean cross-entropy (nats) over every question about the given images."""
    batches = [batch_logits(model, split, batch) for batch in torch.split(images, 256)]
    logits = torch.cat([logits for logits, _ in batches])
    answers = torch.cat([answers for _, answers in batches])
    return float((logits.argmax(1) == answers).double().mean()), float(cross_entropy(logits, answers))


def train(split: Split, fitted: Tensor, held_out: Tensor, epochs: int) -> tuple[dict[str, Tensor], int]:
    """Train a fresh model; return the weights of lowest validation loss and their epoch (from 1)."""
    model = demo.EasyVQANet()
    optimizer = torch.optim.Adam(model.parameters(), lr=PEAK_LEARNING_RATE)
    steps = epochs * -(-len(fitted) // IMAGES_PER_BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=PEAK_LEARNING_RATE, total_steps=steps)
    best_loss, best_epoch, best = float("inf"), 0, copy.deepcopy(model.state_dict())
    for epoch in range(1, epochs + 1):
        model.train()
        for images in torch.split(fitted[torch.randperm(len(fitted))], IMAGES_PER_BATCH):
            logits, answers = batch_logits(model, split, images)
            loss = cross_entropy(logits, answers)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
        accuracy, validation_loss = evaluate(model.eval(), split, held_out)
        print(f"epoch {epoch:3d}  validation accuracy {accuracy:.4f}  loss {validation_loss:.4f}", flush=True)
        if validation_loss < best_loss:
            best_loss, best_epoch, best = validation_loss, epoch, copy.deepcopy(model.state_dict())
    return best, best_epoch


def predict(model: demo.EasyVQANet, split: Split) -> npt.NDArray[np.int64]:
    """Answers of shape [n] through the model's own forward, as a user calls it."""
    with torch.inference_mode():
        parts = [
            model(split.images[split.image_index[rows]], split.questions[rows]).argmax(1)
            for rows in torch.split(torch.arange(len(split.answers)), 256)
        ]
    return torch.cat(parts).numpy()


def main() -> None:
    """Train, save, load what was saved, and record how it does."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=30)
    arguments = parser.parse_args()
    torch.set_num_threads(THREADS)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(arguments.seed)

    split = Split(easy_vqa.load("train"))
    # Whole images are held out: questions about one image share its pixels and would leak.
    held_out, fitted = torch.split(
        torch.randperm(len(split.images)), [VALIDATION_IMAGES, len(split.images) - VALIDATION_IMAGES]
    )
    started = time.perf_counter()
    weights, best_epoch = train(split, fitted, held_out, arguments.epochs)
    seconds = time.perf_counter() - started
    safetensors.torch.save_file(weights, FOLDER / demo.WEIGHTS_NAME)
    # safetensors makes a file that only its owner can read; a package's files are for everyone.
    (FOLDER / demo.WEIGHTS_NAME).chmod(0o644)

    model = demo.load_model()
    correct = predict(model, split) == split.answers.numpy()
    is_held_out = np.isin(split.image_index.numpy(), held_out.numpy())
    # The test split is read only here, after every choice has been made.
    test = Split(easy_vqa.load("test"))
    record = {
        "seed": arguments.seed,
        "epochs": arguments.epochs,
        "best_epoch": best_epoch,
        "train_accuracy": round(float(correct[~is_held_out].mean()), 6),
        "validation_accuracy": round(float(correct[is_held_out].mean()), 6),
        "test_accuracy": round(float((predict(model, test) == test.answers.numpy()).mean()), 6),
        "train_questions": int((~is_held_out).sum()),
        "validation_questions": int(is_held_out.sum()),
        "test_questions": len(test.answers),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "torch": torch.__version__,
        "threads": THREADS,
        "seconds": round(seconds, 1),
    }
    text = json.dumps(record, indent=2) + "\n"
    (FOLDER / "training.json").write_text(text, encoding="utf-8")
    print(text, end="")


if __name__ == "__main__":
    main()

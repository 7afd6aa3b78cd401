"""What mmaudit asks of a model. Any object with these attributes is one; nothing has to be inherited."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from mmaudit.types import Array, Batch, FloatArray, Task

Outputs = Literal["logits", "probabilities", "values"]
"""Scale of an output row: unnormalised scores, probabilities, or (regression) numbers in the target's unit."""

OutputArray = npt.NDArray[np.float32]


class Model(Protocol):
    """A trained multimodal model as an audit sees it.

    `mmaudit.models` holds adapters that turn a torch module, a plain function or a scikit-learn estimator into one;
    `check_model` tests the contract below on a batch.
    """

    @property
    def name(self) -> str:
        """Shown in the report."""

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the inputs it reads, as the data set calls them."""

    @property
    def outputs(self) -> Outputs:
        """Scale of `predict`'s rows. Declared by whoever wraps the model, never guessed from numbers."""

    @property
    def native_absence(self) -> bool:
        """True: it handles rows with `present` False by itself, and the values of such rows do not matter.

        False: it ignores `present`; a missing baseline (zero, mean, a donor's value, …) has to stand in.
        """

    @property
    def fingerprint(self) -> str:
        """Digest of everything that decides its outputs. A run belongs to one fingerprint."""

    def predict(self, batch: Batch) -> OutputArray:
        """Return float32 of shape [n, k] in the declared scale; k is the task's classes, labels or dimensions.

        A row's output depends on that row alone, is the same every time, and the batch is left as it was.
        """


@runtime_checkable
class TwoStage(Protocol):
    """Optional ability: encoders, one per modality, and a fusion of what they return.

    An object that is a `Model` and `TwoStage` satisfies `predict(b) == fuse({m: encode(m, b) for m in modalities}, b)`
    bit for bit, so an audit encodes a modality once and fuses it under every condition that leaves it unchanged.
    A stage that can also `blend` features by row, `take` rows of them and say which passes give `alike` ones (see
    `mmaudit.models.torch_boundary.StagedTorch`) is spared rows that need not be encoded.
    """

    def encode(self, modality: str, batch: Batch) -> Any:
        """Return the features of one modality for all rows, in any form, on any device.

        They depend on `batch.inputs[modality]` and `batch.present[modality]` only.
        """

    def fuse(self, features: Mapping[str, Any], batch: Batch) -> OutputArray:
        """Return what `predict` would, from features by modality; of the batch only `present` and its length are read.

        Features are left as they were: the same ones are fused many times.
        """


@runtime_checkable
class Stageable(Protocol):
    """Optional ability: the boundary between encoders and fusion is found by trying, on a batch."""

    def stage(self, batch: Batch) -> tuple[TwoStage | None, str]:
        """Return a two-stage view verified on this batch, or None; and in words what was found, or why nothing was."""


@runtime_checkable
class Differentiable(Protocol):
    """Optional ability: gradients with respect to the inputs. Adversarial probes need it."""

    def gradient(self, batch: Batch, inputs: Mapping[str, Array], task: Task) -> tuple[FloatArray, Mapping[str, Array]]:
        """Return `float64[n]`, each sample's loss at its target, and per input the gradient of that sample's loss.

        `inputs` are floating-point values, [n, *shape] in the modality's own units and layout, that take the place of
        the batch's; gradients have their shapes, and are 0 for rows in which the modality is absent. The loss is the
        cross-entropy in nats (multilabel: summed over labels), or the squared error summed over dimensions.
        """


@runtime_checkable
class Retriever(Protocol):
    """A dual or triple encoder, in the place of `predict`: it embeds every modality and scores candidates.

    It has `name`, `modalities`, `outputs`, `native_absence` and `fingerprint` as a `Model` does. `outputs` is "logits"
    where the softmax of its scores over the candidates is meant as their probability, "values" where only their order
    is. `mmaudit.RetrievalModel` makes one of encoders; any object with these attributes is one.
    """

    @property
    def name(self) -> str:
        """Shown in the report."""

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities it has encoders for."""

    @property
    def outputs(self) -> Outputs:
        """`"logits"` or `"values"`, see above."""

    @property
    def native_absence(self) -> bool:
        """Whether `scores` leaves out query modalities that are not present; else something has to stand in."""

    @property
    def fingerprint(self) -> str:
        """Digest of everything that decides features and scores."""

    def encode(self, modality: str, batch: Batch) -> Array:
        """Return the features of one modality, float32 [n, …], of one shape for every sample.

        They depend on `batch.inputs[modality]` and `batch.present[modality]` only, a row's on that row alone.
        """

    def scores(self, query: Mapping[str, Array], candidates: Array, present: Mapping[str, Array]) -> Array:
        """Return float32 [q, c]: how well each candidate fits each query, higher is better.

        A pair's score depends on that query and that candidate alone, and everything given is left as it was.

        Args:
            query: features by query modality, [q, …].
            candidates: features of the target modality, [c, …].
            present: by query modality `bool[q]`; only without `native_absence` may it be left unread.
        """

"""What a reference method is: a module, its loss, the random numbers it needs, and where it was published.

    @reference("product", title="Product fusion", source="...", hyper={"lr": Hyper(1e-3, 1e-4, 1e-2, log=True)})
    class Product(Reference):
        def fuse(self, features, present): ...

All seeds of a method are trained as one batched model (`mmaudit.reference.loop`), so a method is written for one trial
and runs under `torch.func.vmap`: no branching on tensors, no `.item()`, no boolean indexing, no random numbers but
`step.draws`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal, TypeVar

import torch
from torch import Tensor, nn

from mmaudit.errors import BadInput, ContractBroken
from mmaudit.reference.losses import row_losses
from mmaudit.registry import Registry
from mmaudit.types import Task, TaskKind

Tensors = dict[str, Tensor]
EncoderFactory = Callable[[], nn.Module]


@dataclass(frozen=True)
class Hyper:
    """A hyper-parameter: its published default, and the range that random search draws from.

    Attributes:
        default: used unless tuned.
        low, high: of the search; equal to the default where the source tunes nothing.
        log: whether the search is uniform in the logarithm.
    """

    default: float
    low: float | None = None
    high: float | None = None
    log: bool = False

    @property
    def searched(self) -> bool:
        """Whether random search varies it."""
        return self.low is not None and self.high is not None and self.low < self.high


COMMON = {"lr": Hyper(1e-3, 1e-4, 1e-2, log=True), "weight_decay": Hyper(1e-2)}


@dataclass(frozen=True)
class Draw:
    """Random numbers that one step of one trial needs.

    Attributes:
        kind: `uniform` in [0, 1), standard `normal`, `integers` in [0, high), or a `permutation` of `shape[0]` rows.
        shape: of one trial's draw.
        high: of integers, exclusive.
    """

    kind: Literal["uniform", "normal", "integers", "permutation"]
    shape: tuple[int, ...]
    high: int = 0


@dataclass(frozen=True)
class Parts:
    """What a reference is built from.

    Attributes:
        modalities: names in the data set's order, the target modality of a retrieval included.
        encoders: by modality, makes the module whose parameters are trained with the method; `nn.Identity` for
            features that are used as they are.
        widths: by modality, how many numbers its encoder returns.
        task: what an output row means.
        target: the modality to be retrieved; None unless the task is retrieval.
    """

    modalities: tuple[str, ...]
    encoders: Mapping[str, EncoderFactory]
    widths: Mapping[str, int]
    task: Task
    target: str | None = None

    @property
    def query(self) -> tuple[str, ...]:
        """The modalities that the answer is made from."""
        return tuple(m for m in self.modalities if m != self.target)


@dataclass
class Step:
    """What a loss sees: one mini-batch of one trial.

    Attributes:
        inputs: by modality `[b, …]`; rows in which it is absent hold zeros.
        present: by modality `bool[b]`.
        target: `int64[b]`, or `[b, k]`.
        draws: random numbers, as `Reference.draws` asks for them.
        hyper: 0-d tensors; they may differ between trials.
        state: what the method remembers; a loss may assign detached tensors of the same shapes.
        epoch: 0-d float tensor, epochs done so far with the fraction of the current one.
        epochs: how many there will be at most.
    """

    inputs: Tensors
    present: Tensors
    target: Tensor
    draws: Tensors
    hyper: Tensors
    state: Tensors
    epoch: Tensor
    epochs: float


class Reference(nn.Module):
    """Base of all reference methods; see the module's docstring.

    A method overrides `fuse`, and where its paper trains differently `loss`. Everything else has a default.
    """

    hyper: ClassVar[Mapping[str, Hyper]] = COMMON

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        self.parts = parts
        self.encoders = nn.ModuleDict({_slot(i): parts.encoders[m]() for i, m in enumerate(parts.modalities)})

    # ---- what it computes

    def encode_one(self, modality: str, values: Tensor) -> Tensor:
        """Features `[b, width]` of one modality's inputs `[b, …]`, absent rows not yet zeroed."""
        encoder = self.encoders[_slot(self.parts.modalities.index(modality))]
        out: Tensor = encoder(values)
        return out

    def encode(self, inputs: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensors:
        """Features `[b, width]` by modality; 0 where the modality is absent."""
        found = {}
        for m, values in inputs.items():
            features = self.encode_one(m, values)
            found[m] = torch.where(present[m][:, None], features, 0.0)
        return found

    def fuse(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
        """Outputs `[b, k]` from features by modality; no randomness, finite for any pattern of presence."""
        raise NotImplementedError

    def forward(self, inputs: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
        """Outputs `[b, k]`: logits, or values for a regression."""
        return self.fuse(self.encode(inputs, present), present)

    def loss(self, step: Step) -> Tensor:
        """What training minimises on one mini-batch, a scalar."""
        return row_losses(self(step.inputs, step.present), step.target, self.parts.task).mean()

    def goodness(self, inputs: Mapping[str, Tensor], present: Mapping[str, Tensor], target: Tensor) -> Tensor:
        """How well each validation row is answered, `[n]`, higher is better: decides which epoch is kept."""
        return -row_losses(self(inputs, present), target, self.parts.task)

    # ---- how it is trained

    def draws(self, rows: int) -> dict[str, Draw]:
        """Random numbers that a step of `rows` rows needs, by name."""
        return {}

    def initial_state(self) -> Tensors:
        """What the method remembers from step to step, before the first one."""
        return {}

    def rate(self, name: str) -> str | None:
        """Name of the hyper-parameter that multiplies the learning rate of parameter `name`; None for 1."""
        return None

    def paces(self, state: Tensors) -> Tensors:
        """What this step's learning rate is multiplied by, 0-d by name of parameter; 1 for those not named.

        For methods that multiply gradients by a coefficient: AdamW would divide it out again.

        Args:
            state: as the step's loss has left it.
        """
        return {}

    def decays(self, name: str) -> bool:
        """Whether weight decay applies to parameter `name`."""
        return True

    def after_gradients(self, gradients: Tensors, step: Step) -> Tensors:
        """Change gradients before the optimiser sees them; by name of the parameter."""
        return gradients

    @classmethod
    def refuses(cls, parts: Parts) -> str | None:
        """Why the method cannot be trained on these parts; None where it can."""
        return None


@dataclass(frozen=True)
class Method:
    """A registered reference method.

    Attributes:
        name: as `mmaudit reference --methods` knows it.
        title: as a report shows it.
        source: the paper, repository or release that it follows.
        tasks: kinds of task it can be trained for.
        fewest: modalities that an answer must be made from at least.
        make: builds one trial's module.
        hyper: by name; `lr` and `weight_decay` are always there.
        single: whether it answers from one modality, and so is trained once for each.
    """

    name: str
    title: str
    source: str
    tasks: tuple[TaskKind, ...]
    fewest: int
    make: type[Reference]
    hyper: Mapping[str, Hyper] = field(default_factory=dict)
    single: bool = False

    @property
    def summary(self) -> str:
        """First line of the docstring."""
        return (self.make.__doc__ or "").strip().splitlines()[0]

    def require(self, parts: Parts) -> None:
        """Raise `BadInput` with the reason where the method cannot be trained on these parts."""
        if parts.task.kind not in self.tasks:
            raise BadInput(f"reference {self.name!r} is for {' and '.join(self.tasks)}; the task is {parts.task.kind}.")
        if len(parts.query) < self.fewest:
            raise BadInput(
                f"reference {self.name!r} needs at least {self.fewest} modalities to answer from, there are "
                f"{len(parts.query)}: {', '.join(parts.query)}."
            )
        if reason := self.make.refuses(parts):
            raise BadInput(f"reference {self.name!r} cannot be trained here: {reason}")


references: Registry[Method] = Registry("reference", "'mmaudit list references'")

C = TypeVar("C", bound=type[Reference])
ANSWERS: tuple[TaskKind, ...] = ("classification", "multilabel", "regression")


def reference(
    name: str,
    *,
    title: str,
    source: str,
    tasks: tuple[TaskKind, ...] = ANSWERS,
    fewest: int = 2,
    hyper: Mapping[str, Hyper] | None = None,
    single: bool = False,
) -> Callable[[C], C]:
    """Register a `Reference` class as a method; see `Method` for the fields.

    Raises:
        ContractBroken: the name is taken, or source or docstring is missing.
    """

    def register(cls: C) -> C:
        if not source or not (cls.__doc__ or "").strip():
            raise ContractBroken(f"reference {name!r}", "source", "declares no source or has no docstring")
        every = {**COMMON, **(hyper or {})}
        cls.hyper = every
        references.add(name, Method(name, title, source, tasks, fewest, cls, every, single))
        return cls

    return register


def _slot(place: int) -> str:
    # Names of modalities may hold dots, which names of modules may not.
    return f"m{place}"

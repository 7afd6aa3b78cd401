"""What the adapters of transformers models share: the loaded model, its modalities, its place, its fingerprint."""

from __future__ import annotations

import copy
import json
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import torch

from mmaudit.errors import BadInput
from mmaudit.models.arguments import modality_names, one_of
from mmaudit.models.fingerprints import object_digest
from mmaudit.models.hf_files import Pretrained, load_pretrained
from mmaudit.models.hf_rows import Kind, Row, Rows, moved
from mmaudit.models.torch import TorchModel
from mmaudit.types import Modality, digest

Source = str | Path | Pretrained
"""A local folder, or what `load_pretrained` returns."""

# Trained on texts padded to full length, without a mask: shorter ones are another input to them.
_PADDED = ("siglip", "siglip2")
# Where positions start behind the padding index, two fewer tokens fit than there are positions.
_OFFSET = ("roberta", "xlm-roberta", "clap_text_model", "camembert", "altclip_text_model")


class Hosted:
    """A transformers model that an adapter runs.

    Args:
        kind: the adapter's name, for messages.
        source: a folder, or a model and its processor.
        modalities: name in the data to what it is to the model; a sequence where the names say that.
        allowed: what this adapter can pass to the model.
        distinct: whether the model takes at most one modality of each sort.
        options: trust, dtype, device, autocast, sample_rate, resample, audio_range, name and fingerprint, as the
            adapters take them.
    """

    def __init__(
        self,
        kind: str,
        source: Source,
        modalities: Mapping[str, Kind] | Sequence[str],
        allowed: Sequence[str],
        *,
        distinct: bool = False,
        trust: bool = False,
        dtype: str = "auto",
        device: str | torch.device | None = None,
        autocast: Literal["bfloat16", "float16"] | None = None,
        sample_rate: Mapping[str, float] | None = None,
        resample: bool = False,
        audio_range: Mapping[str, tuple[float, float]] | None = None,
        name: str | None = None,
        fingerprint: str | None = None,
    ) -> None:
        self.kinds = _kinds(kind, modalities, allowed)
        if distinct and len(set(self.kinds.values())) < len(self.kinds):
            raise BadInput(f"{kind}: modalities {dict(self.kinds)!r}: the model takes one modality of each sort.")
        rates, limits = dict(sample_rate or {}), dict(audio_range or {})
        for option, table in (("sample_rate", rates), ("audio_range", limits)):
            for given in table:
                one_of(kind, f"{option} of", given, [m for m, k in self.kinds.items() if k == "audio"])
        loaded = source if isinstance(source, Pretrained) else load_pretrained(source, dtype=dtype, trust=trust)
        self.model: Any = loaded.model
        self.processor = loaded.processor
        self.config: Any = loaded.model.config
        self.name = name or type(loaded.model).__name__
        self.who = f"{kind} {self.name!r}"
        # Everything an adapter has to do for a module: its place, its mode, its digest.
        self.torch = TorchModel(
            loaded.model,
            list(self.kinds),
            outputs="values",
            boundary="off",
            device=device,
            autocast=autocast,
            name=self.name,
            fingerprint=fingerprint,
        )
        self.device = self.torch.device
        self.rows = {
            m: self._rows(m, k, sample_rate=rates.get(m), resample=resample, limits=limits.get(m))
            for m, k in self.kinds.items()
        }
        # A model without limits keeps the fingerprint that it had before there were any.
        self._prepared_as = [self.kinds, sorted(rates.items()), resample, *sorted(limits.items())]

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names in the data."""
        return tuple(self.kinds)

    def fingerprint(self, *options: Any) -> str:
        """Digest of weights and classes, of the processor, and of how the two are used."""
        return digest("transformers", self.torch.fingerprint, self._processing, self._prepared_as, *options)

    @cached_property
    def _processing(self) -> str:
        return processor_digest(self.processor)

    def session(self) -> AbstractContextManager[None]:
        """Everything that runs the model runs within: evaluation mode, no gradients, the declared autocast."""
        self.torch.require_evaluation_mode()
        return self.torch.session()

    def placed(self, row: Row) -> Row:
        """Inputs on the model's device, in its dtype."""
        return moved(row, self.device, self.torch.dtype)

    def text_rows(self, what: str) -> Rows:
        """Prepares texts that are not of the data."""
        return self._rows(what, "text")

    def __getstate__(self) -> dict[str, Any]:
        """What goes to another process: the model without the hooks that transformers hung on it when it first ran."""
        bare = unhooked(self.model, {})
        carried = copy.copy(self.torch)
        carried.module = bare
        return {**vars(self), "model": bare, "torch": carried}

    def _rows(self, modality: str, kind: Kind, **options: Any) -> Rows:
        padded = str(self.config.model_type) in _PADDED
        return Rows(self.who, modality, kind, self.processor, longest=self._longest(), pad=padded, **options)

    def _longest(self) -> int:
        config = getattr(self.config, "text_config", None) or self.config
        positions = getattr(config, "max_position_embeddings", None)
        if not isinstance(positions, int) or positions <= 0:
            return 10**6
        return positions - 2 if getattr(config, "model_type", "") in _OFFSET else positions


class Adapter:
    """What every adapter of a transformers model tells of itself.

    Args:
        hosted: the model it runs.
        absence: how it handles absent modalities; None where it does not.
    """

    def __init__(self, hosted: Hosted, absence: str | None) -> None:
        self._hosted = hosted
        self.name, self.modalities = hosted.name, hosted.modalities
        self.native_absence = absence is not None
        self.device = str(hosted.device)

    @cached_property
    def fingerprint(self) -> str:
        """Digest of weights and classes, processor and options."""
        return self._hosted.fingerprint(*self._options(), self.native_absence)

    @property
    def tolerance(self) -> float:
        """How far an output may move with what is run beside it, as a share of the largest output."""
        return self._hosted.torch.tolerance

    def training_submodules(self) -> list[str]:
        """Names of submodules in training mode."""
        return self._hosted.torch.training_submodules()

    def disagreement(self, declared: Modality) -> str:
        """What the data set declares of a modality otherwise than the adapter was told; "" where they agree."""
        return self._hosted.rows[declared.name].disagreement(declared)

    def _options(self) -> tuple[Any, ...]:
        """The sort of adapter, and what its outputs depend on besides the model, the processor and absence."""
        raise NotImplementedError


def _kinds(who: str, given: Mapping[str, Kind] | Sequence[str], allowed: Sequence[str]) -> dict[str, Kind]:
    names = modality_names(who, given)
    if not isinstance(given, Mapping):
        unclear = [name for name in names if name not in get_args(Kind)]
        if unclear:
            raise BadInput(
                f"{who}: what is {unclear[0]!r} to the model? Give a mapping of names in the data to "
                f"{', '.join(map(repr, allowed))}, as in modalities={{{unclear[0]!r}: {allowed[0]!r}}}."
            )
        given = {name: name for name in names}  # type: ignore[misc]  # the names are kinds
    for name in names:
        one_of(who, f"modalities[{name!r}]", given[name], allowed)
    return dict(given)


def unhooked(module: Any, made: dict[int, Any]) -> Any:
    """Return a module that shares parameters with the given one, but not the hooks that collect hidden states.

    Transformers 5 hangs them on a model at its first pass, and they cannot be pickled; on the copy they will be hung
    again. `made` holds the copies by the identity of what they copy, so that shared modules stay shared.
    """
    if id(module) not in made:
        made[id(module)] = copied = module.__new__(type(module))
        state = {key: value for key, value in vars(module).items() if key != "_output_capturing_hooks_installed"}
        hooks = ((k, f) for k, f in module._forward_hooks.items() if "output_capturing" not in f.__module__)
        state["_forward_hooks"] = OrderedDict(hooks)
        state["_modules"] = {k: m if m is None else unhooked(m, made) for k, m in module._modules.items()}
        vars(copied).update(state)
    return made[id(module)]


def processor_digest(processor: Any) -> str:
    """Return a digest of a processor's settings and vocabulary; paths and the last use of a tokenizer do not count."""
    parts: dict[str, Any] = {}
    for name, part in sorted(vars(processor).items()):
        if hasattr(part, "get_vocab"):
            parts[name] = _tokenizer(part)
        elif hasattr(part, "to_json_string"):
            parts[name] = [type(part).__name__, _settings(json.loads(part.to_json_string()))]
        elif part is None or isinstance(part, str | int | float | bool):
            parts[name] = part
        elif not isinstance(part, Mapping | Iterable) or isinstance(part, tuple | list | dict):
            parts[name] = object_digest(part)
    return digest(parts)


def _tokenizer(part: Any) -> Any:
    stated = [type(part).__name__, part.model_max_length, part.padding_side, part.truncation_side]
    special = sorted((key, str(value)) for key, value in part.special_tokens_map.items())
    whole = getattr(part, "backend_tokenizer", None)
    if whole is None:
        return [*stated, special, sorted(part.get_vocab().items())]
    content = json.loads(whole.to_str())
    # Left behind by the last call.
    return [*stated, special, {key: v for key, v in content.items() if key not in ("padding", "truncation")}]


def _settings(value: Mapping[str, Any]) -> dict[str, Any]:
    return {key: v for key, v in value.items() if key not in ("name_or_path", "_name_or_path", "transformers_version")}

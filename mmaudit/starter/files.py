"""What a model file or folder says of itself, without running it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from mmaudit.errors import BadInput
from mmaudit.types import Modality, Task

_DUAL = ("align", "altclip", "chinese_clip", "clap", "clip", "siglip", "siglip2")
_GENERATES = re.compile(r"For(ConditionalGeneration|CausalLM|Vision2Seq|ImageTextToText)$")
_HOMES = {
    "TransformersChoices": "hf_choices",
    "TransformersClassifier": "hf_fusion",
    "TransformersRetriever": "hf_retrieval",
    "TransformersZeroShot": "hf_zero_shot",
}


def hosted(folder: Path, task: Task) -> tuple[str, str]:
    """Return which adapter a folder that `save_pretrained` wrote needs, and its module in `mmaudit.models`.

    Raises:
        BadInput: its `config.json` cannot be read, or this sort of model does not do the task.
    """
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        kind, names = str(config.get("model_type", "")), config.get("architectures") or [""]
        architecture = str(names[0])
    except (OSError, ValueError, AttributeError, TypeError, LookupError) as error:
        raise BadInput(f"{str(folder / 'config.json')!r} cannot be read: {error}.") from error
    dual = kind in _DUAL
    if task.kind == "retrieval":
        if not dual:
            raise BadInput(f"{folder.name!r} is a {kind or 'model of unknown type'}; retrieval needs a dual encoder.")
        found = "TransformersRetriever"
    elif dual:
        found = "TransformersZeroShot"
    else:
        found = "TransformersChoices" if _GENERATES.search(architecture) else "TransformersClassifier"
    return found, _HOMES[found]


def taken_for(modalities: Sequence[Modality]) -> dict[str, str]:
    """Return what a processor takes each modality for; raises `BadInput` for a kind that no processor has."""
    for modality in modalities:
        if modality.kind not in ("image", "text", "audio"):
            raise BadInput(
                f"modality {modality.name!r} is {modality.kind}; transformers' processors read image, text and audio. "
                "Name those the model reads: --modality name=kind."
            )
    return {m.name: m.kind for m in modalities}


def ports(path: Path, names: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Return an ONNX graph's inputs in words, and which one each modality seems to be; nothing without onnxruntime."""
    from mmaudit.errors import MissingExtra
    from mmaudit.models.onnx_graph import Graph

    try:
        inputs = Graph(f"model {path.name!r}", path, None, 1).inputs
    except MissingExtra:
        return [], {}
    same = {name: name for name in names if name in inputs}
    if len(same) < len(names) == len(inputs):
        left = [port for port in inputs if port not in same.values()]
        same |= dict(zip([n for n in names if n not in same], left, strict=True))
        return [port.said for port in inputs.values()], {n: same[n] for n in names}
    return [port.said for port in inputs.values()], {}

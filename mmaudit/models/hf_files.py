"""Transformers models and processors from a local folder. Nothing is downloaded, and no code in the folder is run."""

from __future__ import annotations

import importlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from torch import nn

from mmaudit.errors import BadInput, MissingExtra

_LONGEST_JSON = 64 * 2**20
# Loading switches off progress bars and the hub for the whole process; two loads at once must not undo each other.
_LOADING = threading.Lock()


@dataclass(frozen=True)
class Pretrained:
    """A transformers model and what turns rows into its inputs.

    Attributes:
        model: a `transformers.PreTrainedModel`, in evaluation mode.
        processor: a transformers processor, or anything with the `tokenizer`, `image_processor` or `feature_extractor`
            that the modalities need.
    """

    model: nn.Module
    processor: Any


def transformers() -> Any:
    """Return the package; raises `MissingExtra` where it is not installed."""
    try:
        return importlib.import_module("transformers")
    except ModuleNotFoundError as error:
        if error.name != "transformers":
            raise
        raise MissingExtra("transformers", "transformers") from error


def load_pretrained(folder: str | Path, *, dtype: str = "auto", trust: bool = False) -> Pretrained:
    """Load a model and its processor from a folder that `save_pretrained` wrote or a hub download left.

    The model's class is the one that `config.json` names under `architectures`. Image processors are those that use
    Pillow, so that answers do not depend on whether torchvision is installed.

    Args:
        folder: a local folder. A name on the hub is refused: nothing is ever downloaded.
        dtype: `"auto"`, as the weights are stored, or a torch dtype's name, such as `"float32"`.
        trust: weights that are pickled, and model code that lies in the folder, can run any code their maker put in.
            True says you trust them. Without it only safetensors and the classes of transformers itself are used.

    Raises:
        BadInput: no such folder; it needs `trust`; it is damaged, incomplete, or does not fit its own configuration.
        MissingExtra: transformers is not installed.
    """
    library = transformers()
    place = Path(folder)
    config = _examined(place, trust)
    kind = _model_class(library, place, config, trust)
    number = _number(library.__version__)
    common = {"local_files_only": True, "trust_remote_code": trust}
    with _LOADING, _offline(library):
        try:
            model, report = kind.from_pretrained(
                place,
                output_loading_info=True,
                use_safetensors=None if trust else True,
                # A name with a slash here is a kernel to be fetched from the hub and run.
                **({"dtype": dtype} if number >= (4, 56) else {"torch_dtype": dtype}),
                **common,
            )
            processor = _processor(library, place, number >= (5,), common)
        except Exception as error:  # transformers raises whatever its parts raise
            raise BadInput(_told(place, error)) from error
    _require_whole(place, report)
    return Pretrained(model.eval(), processor)


def _examined(place: Path, trust: bool) -> dict[str, Any]:
    """Return `config.json`, after everything that would fetch or run something is ruled out."""
    if not place.is_dir():
        raise BadInput(
            f"transformers model {str(place)!r} is not a folder here, and mmaudit downloads nothing; fetch it first "
            "(hf download NAME --local-dir FOLDER) and give that folder."
        )
    if (place / "adapter_config.json").exists():
        raise BadInput(
            f"{str(place)!r} holds an adapter of another model (adapter_config.json); merge the two first "
            "(peft: merge_and_unload) and save the result with save_pretrained."
        )
    config = _json(place / "config.json")
    if not trust:
        if not any(place.glob("*.safetensors")):
            pickled = sorted(p.name for p in place.glob("*.bin"))
            held = f"only {pickled[0]!r}, and opening that" if pickled else "none, and opening other formats"
            raise BadInput(
                f"{str(place)!r}: expected weights as safetensors, found {held} can run code. Save the model again "
                "with save_pretrained(…, safe_serialization=True), or say trust=True if you trust its maker."
            )
        fetched = sorted({str(value) for value in _attention(config) if "/" in str(value)})
        if fetched:
            raise BadInput(
                f"{str(place)!r}: config.json names attention code to be fetched from elsewhere, "
                f"{fetched[0][:100]!r}; remove that entry, or say trust=True if you trust its maker."
            )
    for index in place.glob("*.index.json"):
        named = _json(index).get("weight_map", {})
        outside = [v for v in named.values() if Path(str(v)).name != v] if isinstance(named, Mapping) else ["…"]
        if outside:
            raise BadInput(f"{index.name} in {str(place)!r} names a file elsewhere: {str(outside[0])[:100]!r}.")
    return config


def _json(file: Path) -> dict[str, Any]:
    if not file.is_file():
        raise BadInput(
            f"{str(file.parent)!r} has no {file.name}; give the folder that model.save_pretrained and "
            "processor.save_pretrained wrote."
        )
    if file.stat().st_size > _LONGEST_JSON:
        raise BadInput(f"{str(file)!r} is larger than any configuration ({_LONGEST_JSON >> 20} MiB).")
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{str(file)!r} is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise BadInput(f"{str(file)!r} is a {type(found).__name__}, expected a table of settings.")
    return found


def _attention(config: Any) -> Iterator[Any]:
    """All values, at any depth, of settings that say by which code attention is computed."""
    if isinstance(config, Mapping):
        for key, value in config.items():
            if "attn_implementation" in str(key) or "experts_implementation" in str(key):
                yield from value.values() if isinstance(value, Mapping) else [value]
            else:
                yield from _attention(value)
    elif isinstance(config, list):
        for value in config:
            yield from _attention(value)


def _model_class(library: Any, place: Path, config: Mapping[str, Any], trust: bool) -> Any:
    names = config.get("architectures") or []
    name = names[0] if isinstance(names, list) and names else None
    if name is None or (trust and "auto_map" in config):
        return library.AutoModel
    kind = getattr(library, name, None) if isinstance(name, str) and name.isidentifier() else None
    if not (isinstance(kind, type) and issubclass(kind, library.PreTrainedModel)):
        raise BadInput(
            f"{str(place)!r}: config.json names the class {str(name)[:100]!r}, which transformers "
            f"{library.__version__} does not have. Upgrade transformers; or, if its code lies in the folder and you "
            "trust it, say trust=True."
        )
    return kind


def _processor(library: Any, place: Path, newer: bool, options: Mapping[str, Any]) -> Any:
    """The processor, or, where there is none, the one part that the folder has (a tokenizer, an image processor)."""
    backend = {"backend": "pil"} if newer else {}
    found = library.AutoProcessor.from_pretrained(place, **backend, **options)
    if isinstance(found, library.ProcessorMixin):
        if not newer and getattr(found, "image_processor", None) is not None:
            # Up to version 4 the word for Pillow means slow tokenizers too, which many folders do not have.
            found.image_processor = library.AutoImageProcessor.from_pretrained(place, use_fast=False, **options)
        return found
    part = "tokenizer" if isinstance(found, library.PreTrainedTokenizerBase) else "image_processor"
    if isinstance(found, library.SequenceFeatureExtractor):
        part = "feature_extractor"
    return SimpleNamespace(**{part: found})


def _require_whole(place: Path, report: Mapping[str, Any]) -> None:
    """Transformers draws missing weights at random and goes on; an audit of those would be of nothing."""
    missing, unfit = sorted(report.get("missing_keys") or []), sorted(map(str, report.get("mismatched_keys") or []))
    if missing or unfit:
        what = f"lack {len(missing)}, such as {missing[0]!r}" if missing else f"have another shape: {unfit[0]}"
        raise BadInput(
            f"{str(place)!r}: the weights do not fit the class that config.json names; they {what}. They would be "
            "drawn at random. Save the trained model whole, or correct 'architectures' in config.json."
        )


@contextmanager
def _offline(library: Any) -> Iterator[None]:
    """No request leaves, whatever a configuration refers to; no progress bars."""
    constants: Any = importlib.import_module("huggingface_hub.constants")
    bars = library.utils.logging
    before, shown = constants.HF_HUB_OFFLINE, bars.is_progress_bar_enabled()
    constants.HF_HUB_OFFLINE = True
    bars.disable_progress_bar()
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before
        if shown:
            bars.enable_progress_bar()


def _told(place: Path, error: Exception) -> str:
    if "trust_remote_code" in str(error):
        return (
            f"{str(place)!r} needs code that lies in the folder, and running it can do anything its maker put in. If "
            "you trust them, say trust=True."
        )
    return f"{str(place)!r} cannot be loaded: {type(error).__name__}: {str(error)[:500]}"


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())

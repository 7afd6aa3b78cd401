"""What the shell or a TOML file says about model and data, turned into model and data."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmaudit.errors import BadInput, UnknownName
from mmaudit.given import (
    COLUMNS,
    FLAG,
    NUMBER,
    PAIRS,
    TEXT,
    TEXTS,
    WHOLE,
    either,
    is_text,
    is_whole,
    listed,
    require,
    whole,
)

if TYPE_CHECKING:
    from mmaudit.data import Dataset
    from mmaudit.execution import Executor
    from mmaudit.models import Model

KEYS = (
    *("model", "outputs", "weights", "trust"),
    *("data", "train", "train_split", "target", "task", "modality", "columns", "ids", "group", "cluster", "split"),
    *("validation", "validation_split", "root", "whole"),
    *("out", "suite", "subsets", "scenario", "surface", "severity_scale", "similarity_floor"),
    *("resamples", "seed", "batch_rows", "title", "keep_samples", "budget", "forwards"),
    *("jobs", "executor", "worker_gpus", "time_limit"),
)

# Of what kind the values of a configuration are; the shell gives texts and numbers of the right kind itself.
KINDS = {
    **dict.fromkeys(("model", "outputs", "weights", "data", "train", "train_split", "target", "task", "ids"), TEXT),
    **dict.fromkeys(("validation", "validation_split"), TEXT),
    **dict.fromkeys(("cluster", "split", "root", "out", "severity_scale", "title", "budget", "executor"), TEXT),
    **dict.fromkeys(("group", "scenario"), TEXTS),
    **dict.fromkeys(("resamples", "seed", "keep_samples", "forwards"), WHOLE),
    "target": TEXTS,
    "batch_rows": (either(is_text, is_whole), "a whole number, or \"auto\""),
    **dict.fromkeys(("trust", "whole"), FLAG),
    "modality": PAIRS,
    "columns": COLUMNS,
    **dict.fromkeys(("similarity_floor", "worker_gpus", "time_limit"), NUMBER),
    "suite": (
        either(is_text, listed(is_text), lambda x: isinstance(x, dict)), "a suite's name, a list of probes, or a table"
    ),
    "surface": (
        listed(either(is_text, lambda x: listed(is_text)(x) and len(x) == 2)), 'a list of pairs, as in [["a", "b"]]'
    ),
}  # fmt: skip


def merged(config: Path | None, given: Mapping[str, Any], need: Sequence[str]) -> dict[str, Any]:
    """Options of a TOML file, overridden by those given on the command line.

    Args:
        config: the file, if any.
        given: a command's values by name, as its `locals()` has them; see `said`.
        need: options that have to be given.

    Raises:
        BadInput: the file is missing or no TOML, or one of the options in `need` is nowhere given.
        UnknownName: the file has a key that is no option.
    """
    options = {**(_read(config) if config else {}), **said(given)}
    if lacking := [f"--{name}" for name in need if name not in options]:
        *most, last = lacking
        names = f"{', '.join(most)} and {last} are" if most else f"{last} is"
        them = "them as options or as keys" if most else "it as an option or as a key"
        raise BadInput(f"{names} missing; give {them} in the file of --config.")
    return options


def said(given: Mapping[str, Any]) -> dict[str, Any]:
    """Those of a command's values that are options, `KEYS`, and were given; 0 is given, too."""
    return {k: v for k, v in given.items() if k in KEYS and v is not None and v is not False and v != []}


def _read(path: Path) -> dict[str, Any]:
    try:
        options = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadInput(f"config file {path} does not exist.") from None
    except OSError as error:
        raise BadInput(f"config file {path} cannot be read: {error.strerror or error}.") from None
    except (ValueError, RecursionError) as error:  # no TOML, no UTF-8, a number of 5,000 digits, or nested endlessly
        raise BadInput(f"config file {path} is not TOML: {error}.") from None
    if unknown := sorted(set(options) - set(KEYS)):
        raise UnknownName(f"key of {path}", unknown[0], KEYS)
    require(options, KINDS, f"config file {path}")
    return options


def load(
    options: Mapping[str, Any], step: Callable[[str], object] = lambda _: None
) -> tuple[Model, Dataset, Dataset | None]:
    """The model, the data set to audit, and the training data if any is named.

    Making the model may take long, so names in the suite are looked at before.

    Args:
        options: see `merged`.
        step: called with what is done next, in words.
    """
    from mmaudit.plan import require_names

    chosen = suite(options)
    require_known(options, lambda: require_names(chosen))
    step("reading the data")
    data, train = load_data(options)
    require_known(options, lambda: require_names(chosen, data.modalities, data.task))
    step("making the model")
    model = model_maker(options, data)()
    step("trying the model")
    return model, data, train


def require_settings(options: Mapping[str, Any], out: Path | None = None) -> None:
    """Check what can be told from the options alone, before data are read and the model is made.

    Args:
        options: of an audit.
        out: its run folder; None: not to be looked at.

    Raises:
        BadInput: a number, a budget, the outputs' scale, the workers or the run folder are not usable, or there is no
            file of weights.
        UnknownName: there is no such executor.
    """
    from mmaudit import auditing
    from mmaudit.folder import require_free, require_usable
    from mmaudit.models.arguments import declared_outputs

    own = {k: options[k] for k in ("resamples", "seed", "keep_samples", "budget", "forwards") if k in options}
    auditing.require_settings(batch_rows=batch_rows(options.get("batch_rows")), **own)
    executor(options)
    if "outputs" in options:
        declared_outputs(f"model {options['model']!r}", options["outputs"])
    if "weights" in options and not Path(options["weights"]).is_file():
        raise BadInput(f"model file {str(options['weights'])!r} does not exist; give the path of a file.")
    if out is not None:
        require_usable(out)
        require_free(out)


def require_known(options: Mapping[str, Any], look: Callable[[], object]) -> None:
    """Look names up before the model is made; its module may register some of them, so it is imported where one lacks.

    Raises:
        UnknownName: a name is not registered, nor by the model's module.
    """
    from mmaudit.models.loading import import_named

    try:
        look()
    except UnknownName:
        if not import_named(options["model"]):
            raise
        look()


def model_maker(options: Mapping[str, Any], data: Dataset) -> Callable[[], Model]:
    """What makes the model that the options name; it can be sent to another process and called there."""
    from mmaudit.models.loading import load_model

    return partial(
        load_model,
        options["model"],
        modalities=[m.name for m in data.modalities],
        outputs=options.get("outputs"),
        weights=options.get("weights"),
        trust=bool(options.get("trust", False)),
    )


def executor(options: Mapping[str, Any], data: Dataset | None = None) -> Executor:
    """Who is to answer shards; workers in other processes make the model themselves, and need the data for it.

    Raises:
        BadInput: an option is not usable, or has no place with that executor.
        UnknownName: there is no such executor.
    """
    from mmaudit.execution import chosen

    return chosen(
        options.get("executor"),
        options.get("jobs", 1),
        make_model=None if data is None else model_maker(options, data),
        gpus=options.get("worker_gpus", 0.0),
        time_limit=options.get("time_limit"),
    )


def batch_rows(given: object) -> Any:
    """`--batch-rows` from the shell or a file: a whole number, or "auto"; anything else is left to be refused."""
    try:
        return whole(given) if isinstance(given, str) else given
    except ValueError:
        return given


def load_data(options: Mapping[str, Any]) -> tuple[Dataset, Dataset | None]:
    """The data set to audit, and the training data if any is named."""
    return read(Path(options["data"]), options), _read_other(options, "train")


def load_validation(options: Mapping[str, Any]) -> Dataset | None:
    """The data that references are chosen on, if any is named."""
    return _read_other(options, "validation")


def _read_other(options: Mapping[str, Any], name: str) -> Dataset | None:
    if name not in options:
        return None
    return read(Path(options[name]), {**options, "split": options.get(f"{name}_split")})


def suite(options: Mapping[str, Any]) -> str | dict[str, Any]:
    """The suite that the options name, with what they say of subsets, scenarios, surfaces, scale and floor."""
    chosen: str | dict[str, Any] = options.get("suite", "standard")
    given: dict[str, Any] = {k: options[k] for k in ("subsets", "severity_scale", "similarity_floor") if k in options}
    if "scenario" in options:
        given["scenarios"] = _list(options["scenario"])
    if "surface" in options:
        pairs = options["surface"]
        given["surface"] = [_pair(pair) for pair in pairs] if isinstance(pairs, list) else pairs
    if not given:
        return chosen
    if isinstance(chosen, list):
        chosen = {"probes": chosen}
    base = {"base": chosen, "name": chosen} if isinstance(chosen, str) else chosen
    return {**base, **given}


def _pair(given: object) -> object:
    """`image.gaussian_blur,text.keyboard` from the shell as two names."""
    return given.split(",") if isinstance(given, str) else given


def read(path: Path, options: Mapping[str, Any]) -> Dataset:
    """Read data of any form as the options describe them; see `mmaudit.data.read`.

    Raises:
        BadInput: no such data, a form that is not known, or an option that it needs is not given.
    """
    from mmaudit.data import read as read_data

    columns = table(options.get("columns", {}), "--columns", "name=column,column")
    return read_data(
        path,
        options.get("task"),
        kinds=table(options.get("modality", {}), "--modality", "name=kind"),
        columns={name: _columns(given) for name, given in columns.items()},
        target=_columns(options["target"]) if "target" in options else None,
        ids=options.get("ids"),
        groups=tuple(_list(options.get("group", ()))),
        cluster=options.get("cluster"),
        split=options.get("split"),
        root=options.get("root"),
        whole=bool(options.get("whole", False)),
        trust=bool(options.get("trust", False)),
    )


def table(given: Mapping[str, str] | Sequence[str], option: str, form: str) -> dict[str, str]:
    """`["image=image", …]` from the shell, or a TOML table, as a mapping."""
    if isinstance(given, Mapping):
        return {str(k): v for k, v in given.items()}
    pairs: dict[str, str] = {}
    for text in given:
        left, sign, right = str(text).partition("=")
        if not (left and sign and right):
            raise BadInput(f"{option} {text!r} is not of the form {form}.")
        pairs[left] = right
    return pairs


def _columns(given: str | Sequence[str]) -> str | list[str]:
    """One column's name, or several."""
    names = given.split(",") if isinstance(given, str) else list(given)
    return names[0] if len(names) == 1 else names


def _list(given: str | Sequence[str]) -> list[str]:
    return [given] if isinstance(given, str) else list(given)

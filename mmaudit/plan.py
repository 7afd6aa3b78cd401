"""What will be run: a suite of probes becomes an ordered list of conditions, before any forward pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, get_args

from mmaudit.errors import BadInput, UnknownName
from mmaudit.given import LIST_OF_TEXTS, NUMBERS, TEXT, WHOLES, either, is_number, is_text, is_whole, listed, require
from mmaudit.probes import POOLS, Declined, Scope, probes, scenario, surface
from mmaudit.probes.scale import SCALES, Scale
from mmaudit.probes.scope import SHIFTS
from mmaudit.probes.subset_sampling import Subset, proper_subsets
from mmaudit.types import CLEAN, Condition, Modality, Task

MAX_SUBSETS = 64

ANALYSES = {
    "emap": "answers to inputs whose modalities come from different samples: what is left of an additive model (EMAP)",
    "attribution": "what each modality adds to an answer, by gradients (Captum)",
    "off_data": "how far what stands in for a missing modality lies from the data",
    "synergy": "cross-fitted predictors of target and decision from every subset of modalities: synergy to be had",
}

SubsetChoice = Literal["all", "leave-one-out", "one-at-a-time"]


_KINDS = {
    **dict.fromkeys(("scenarios", "probes", "baselines", "pools", "analyses"), LIST_OF_TEXTS),
    **dict.fromkeys(("positions", "lags"), WHOLES),
    **dict.fromkeys(("rates", "shares", "shifts"), NUMBERS),
    "subsets": (either(is_text, listed(either(is_text, listed(is_text)))), "'all', or a list of lists of names"),
    "similarity_floor": (lambda x: x is None or is_number(x), "a number above 0, at most 1"),
}


@dataclass(frozen=True)
class Suite:
    """Which probes to run, and how finely.

    Attributes:
        name: shown in the report.
        probes: names, families or globs, as `mmaudit list probes` shows them; controls are always added.
        positions: places 1-5 in each corruption's severity table.
        baselines: missing baselines to report; those that a modality or the model cannot have are declined.
        rates: shares of samples that lack a modality, for `missing_rate`.
        pools: donors for `mismatch`: "random", "within_class", "across_class", "nearest".
        shares: shares of samples that are exchanged, for `mismatch_share`.
        shifts: time shifts in ms, for `temporal_shift`.
        lags: how many samples a stale value lies behind, for `stale_order`.
        subsets: present subsets of the modalities for `missing`: "all" proper subsets (where they are more than
            `subset_budget`, a sample of them that the plan records), "leave-one-out", "one-at-a-time", or a list of
            lists of names.
        subset_budget: most subsets that "all" runs, each with every baseline; 64 is enough for all of 6 modalities.
        repeats: independent repetitions of every random probe.
        scenarios: TOML files of the user's own scenarios (see `mmaudit/probes/scenario_file.py`); they run beside the
            packaged ones that `probes` names.
        surface: pairs of corruptions for the severity × severity surface, as in
            `[["image.gaussian_blur", "text.keyboard"]]`; without it `surface` picks one pair per pair of modalities.
        severity_scale: what positions 1-5 mean: "table", each corruption's published severities, or severities found
            so that the same position does the same to every modality: "input" (distance moved in σ), "embedding"
            (distance of the model's own features), "unimodal" (share of a unimodal probe's performance lost).
        similarity_floor: chrF similarity with the original, in (0, 1], that every corrupted text keeps to: where a
            severity would go below, the text is corrupted less. Not for corruptions that are meant to change the
            meaning. None for no floor.
        analyses: what is measured beside the conditions (`ANALYSES`): each asks the model, or reads the data, once
            more. A suite of your own has none unless it says so; quick, standard and full have all.
    """

    name: str = "custom"
    probes: tuple[str, ...] = ("*",)
    positions: tuple[int, ...] = (1, 2, 3, 4, 5)
    baselines: tuple[str, ...] = ("native", "zero", "mean", "marginal", "noise")
    rates: tuple[float, ...] = (0.1, 0.3, 0.5, 0.7, 0.9)
    pools: tuple[str, ...] = ("random", "within_class", "across_class")
    shares: tuple[float, ...] = (0.25, 0.5, 0.75)
    shifts: tuple[float, ...] = SHIFTS
    lags: tuple[int, ...] = (1, 2, 5, 10)
    subsets: SubsetChoice | tuple[tuple[str, ...], ...] = "all"
    subset_budget: int = MAX_SUBSETS
    repeats: int = 1
    scenarios: tuple[str, ...] = ()
    surface: tuple[tuple[str, str], ...] = ()
    severity_scale: str = "table"
    similarity_floor: float | None = None
    analyses: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if isinstance(self.scenarios, list | tuple):
            object.__setattr__(self, "scenarios", tuple(str(file) for file in self.scenarios))
        require({"name": self.name}, {"name": TEXT}, "suite")
        lists = ("scenarios", "probes", "positions", "baselines", "rates", "pools", "shares", "shifts", "lags")
        for name in (*lists, "analyses"):
            given = getattr(self, name)
            if not isinstance(given, list | tuple):
                raise BadInput(f"suite {self.name!r}: {name}={given!r} is not a list; write [{given!r}].")
            require({name: given}, _KINDS, f"suite {self.name!r}")
            # What is named twice is run once.
            object.__setattr__(self, name, tuple(dict.fromkeys(given)))
        for name in ("repeats", "subset_budget"):
            number = getattr(self, name)
            if not is_whole(number) or number < 1:
                raise BadInput(f"suite {self.name!r}: {name}={number!r:.80} is not usable; give 1 or more.")
        require({"subsets": self.subsets, "similarity_floor": self.similarity_floor}, _KINDS, f"suite {self.name!r}")
        if not isinstance(self.surface, list | tuple) or any(not _is_pair(pair) for pair in self.surface):
            raise BadInput(
                f"suite {self.name!r}: surface={self.surface!r} is no list of pairs of corruptions; write "
                "[['image.gaussian_blur', 'text.keyboard']]."
            )
        object.__setattr__(self, "surface", tuple(dict.fromkeys((a, b) for a, b in self.surface)))
        if not isinstance(self.severity_scale, str) or self.severity_scale not in ("table", *SCALES):
            raise UnknownName("severity scale", str(self.severity_scale), ("table", *SCALES))
        if unknown := [name for name in self.analyses if name not in ANALYSES]:
            raise UnknownName("analysis", str(unknown[0]), ANALYSES)

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


SUITES: dict[str, Suite] = {
    "quick": Suite(
        "quick",
        ("control", "missing", "mismatch", "gaussian_noise", "gaussian_noise_additive", "gaussian_blur", "keyboard"),
        positions=(3, 5),
        baselines=("native", "zero", "marginal"),
        pools=("random",),
        analyses=tuple(ANALYSES),
    ),
    "standard": Suite(
        "standard",
        (
            *("control", "missing", "missing_rate", "mismatch", "conflict"),
            *("gaussian_noise*", "gaussian_blur", "keyboard", "gaussian_snr", "packet_loss", "series.dropout"),
            "tabular.missing_mcar",
        ),
        analyses=tuple(ANALYSES),
    ),
    "full": Suite(
        "full",
        ("*",),
        rates=tuple(round(r / 10, 1) for r in range(1, 10)),
        pools=POOLS,
        repeats=3,
        analyses=tuple(ANALYSES),
    ),
}


@dataclass(frozen=True)
class Plan:
    """The conditions to run, `clean` first, and what the probes declined, with reasons.

    `scale` is what severities were put on, None for the corruptions' own tables; `scenarios` says in plain values what
    each scenario among the conditions does.
    """

    suite: Suite
    conditions: tuple[Condition, ...]
    declined: tuple[Declined, ...]
    scale: Scale | None = None
    scenarios: tuple[dict[str, Any], ...] = ()

    @property
    def declined_json(self) -> list[dict[str, Any]]:
        """The declined probes as plain values."""
        return [{"probe": d.probe, "modalities": list(d.modalities), "reason": d.reason} for d in self.declined]


def as_suite(value: str | Suite | Sequence[str] | Mapping[str, Any]) -> Suite:
    """Return the suite meant by a name, a `Suite`, a list of probe names, or a table of `Suite`'s fields.

    Raises:
        UnknownName: no suite has that name.
        BadInput: a table has a field that `Suite` has not.
    """
    if isinstance(value, Suite):
        return value
    if isinstance(value, str):
        if value not in SUITES:
            raise UnknownName("suite", value, SUITES, "'mmaudit list suites'")
        return SUITES[value]
    if isinstance(value, Mapping):
        known = {f.name for f in fields(Suite)}
        if unknown := set(value) - known - {"base"}:
            raise UnknownName("suite field", min(unknown), known)
        base = as_suite(value.get("base", "standard"))
        given = {k: _tuples(v) for k, v in value.items() if k != "base"}
        return replace(base, **{"name": "custom", **given})
    if not isinstance(value, Sequence):
        raise BadInput(f"suite={value!r:.80} is not usable; give a suite's name, a list of probes, or a table.")
    return Suite(probes=tuple(value))


def make_plan(
    suite: str | Suite | Sequence[str] | Mapping[str, Any],
    modalities: tuple[Modality, ...],
    task: Task,
    *,
    native: bool = False,
    incomplete: tuple[str, ...] = (),
    n: int | None = None,
    longest: int | None = None,
    gradients: Mapping[str, str] | None = None,
    scale: Scale | None = None,
) -> Plan:
    """List the conditions that a suite means for these modalities.

    Args:
        suite: see `as_suite`.
        modalities: of the data set.
        task: of the data set; some probes need classes.
        native: whether the model handles absent modalities itself.
        incomplete: modalities that some samples lack.
        n: samples, where that is known.
        longest: samples in the largest cluster, all of them without clusters.
        gradients: per modality why the model's gradient cannot be followed, empty where it can; None for no gradient.
        scale: the severities behind positions 1-5, found by `mmaudit.equalise`; None for the corruptions' own tables.

    Raises:
        UnknownName: a probe name matches nothing; the nearest is suggested.
        BadInput: a field of the suite is out of range, or the subset budget does not even cover each modality alone
            and all but each.
    """
    chosen = as_suite(suite)
    selected = {probe.name for probe in probes.select(chosen.probes)} | {
        p.name for p in probes if p.family == "control"
    }
    names = tuple(m.name for m in modalities)
    # Without its target modality a sample is no candidate, so nothing is left to be found.
    removable = tuple(m for m in modalities if m.name != task.target_modality)
    asked = (
        chosen if isinstance(chosen.subsets, str) else replace(chosen, subsets=_without(chosen, task.target_modality))
    )
    subsets, not_run = _subsets(asked, tuple(m.name for m in removable)) if "missing" in selected else ((), "")
    scenarios = scenario.load(chosen.scenarios)
    selected |= {s.probe for s in scenarios} | ({"surface"} if chosen.surface else set())
    scope = Scope(
        modalities=modalities,
        task=task,
        native=native,
        incomplete=incomplete,
        n=n,
        longest=longest,
        gradients=gradients,
        positions=chosen.positions,
        baselines=chosen.baselines,
        rates=chosen.rates,
        pools=chosen.pools,
        shares=chosen.shares,
        shifts=chosen.shifts,
        lags=chosen.lags,
        subsets=subsets,
        repeats=chosen.repeats,
        scenarios=scenarios,
        surface=chosen.surface,
        scale=scale,
        similarity_floor=chosen.similarity_floor,
    )
    conditions: list[Condition] = []
    declined = [Declined("missing", names, not_run)] if not_run else []
    without = replace(scope, modalities=removable)
    if len(removable) < len(names) and any(probes.get(name).family == "missing" for name in selected):
        declined.append(Declined("missing", (task.target_modality,), _NEEDED))
    for probe in sorted((probes.get(name) for name in selected), key=lambda p: (_ORDER.get(p.family, 9), p.name)):
        for item in probe.grid(without if probe.family == "missing" else scope):
            meant = scale.condition(item) if scale and isinstance(item, Condition) else item
            if isinstance(meant, Declined):
                # Several severities may be declined for one reason.
                declined += [meant] if meant not in declined else []
            else:
                conditions.append(meant)
    # What a surface is compared with is measured, too, whether or not those corruptions were asked for.
    have = {c.key for c in conditions}
    alone = [c for joint in conditions if joint.probe == "surface" for c in surface.single(joint)]
    conditions += {c.key: c for c in alone if c.key not in have}.values()
    # Conditions with the same stand-in follow each other, so that its encoding is still at hand.
    conditions.sort(key=lambda c: (_ORDER.get(c.family, 9), c.probe, c.option("baseline") or "", c.repeat))
    keys = [c.key for c in conditions]
    if len(set(keys)) != len(keys):
        twice = next(c.label for c in conditions if keys.count(c.key) > 1)
        raise BadInput(f"condition {twice!r} is planned twice; a probe's grid must give distinct conditions.")
    described = tuple(scenario.described(conditions, modalities))
    return Plan(chosen, (CLEAN, *conditions), tuple(declined), scale, described)


_NEEDED = "a sample without the modality that is to be found is no candidate, so there would be nothing to find"
_FAMILIES = (
    *("control", "missing", "mismatch", "conflict", "scenario", "corruption"),
    *("contrast_set", "adversarial"),
)
_ORDER = {family: place for place, family in enumerate(_FAMILIES)}


def require_names(
    suite: str | Suite | Sequence[str] | Mapping[str, Any],
    modalities: tuple[Modality, ...] = (),
    task: Task | None = None,
) -> None:
    """Refuse a name in a suite that nothing has, as long as neither data nor model are at hand, or no model.

    Args:
        suite: see `as_suite`.
        modalities, task: of the data, once they are known: then names of stand-ins, subsets and surfaces are looked
            at, too.

    Raises:
        UnknownName: a suite, probe, scenario's key, stand-in, modality … of that name does not exist.
        BadInput: a field of the suite is out of range whatever the data.
    """
    probes.select(as_suite(suite).probes)
    if task is None:
        return
    try:
        make_plan(suite, modalities, task, native=True)
    except UnknownName:
        raise
    except BadInput:
        return  # the model may read fewer modalities, of which it is not true


def wants_gradients(suite: str | Suite | Sequence[str] | Mapping[str, Any]) -> bool:
    """Whether a suite holds probes that follow the model's gradient; see `as_suite`."""
    return any(probe.family == "adversarial" for probe in probes.select(as_suite(suite).probes))


def _is_pair(value: object) -> bool:
    return isinstance(value, list | tuple) and len(value) == 2 and all(isinstance(name, str) for name in value)


def _subsets(suite: Suite, names: tuple[str, ...]) -> tuple[tuple[Subset, ...], str]:
    """Present subsets for `missing`, largest first, and which of those asked for are not run, and why."""
    if suite.subsets == "leave-one-out":
        return tuple(tuple(n for n in names if n != left) for left in names), ""
    if suite.subsets == "one-at-a-time":
        return tuple((name,) for name in names), ""
    if suite.subsets == "all":
        return proper_subsets(names, suite.subset_budget)
    if isinstance(suite.subsets, str):
        raise UnknownName("choice of subsets", suite.subsets, get_args(SubsetChoice))
    for subset in suite.subsets:
        if isinstance(subset, str):
            raise BadInput(
                f"subsets holds {subset!r}; list the names that are present each time, as in [[{subset!r}]]."
            )
        if unknown := [n for n in subset if n not in names]:
            raise UnknownName("modality", unknown[0], names)
        if set(subset) == set(names):
            raise BadInput(f"subset {subset} has every modality: that is the clean condition; leave it out.")
    return tuple(tuple(n for n in names if n in s) for s in suite.subsets), ""


def _without(suite: Suite, name: str) -> Any:
    """The listed subsets without a modality that is always there; what is no list is left to `_subsets`."""
    return tuple(s if isinstance(s, str) else tuple(n for n in s if n != name) for s in suite.subsets)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(v) for v in value) if isinstance(value, list | tuple) else value

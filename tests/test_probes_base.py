"""The registry, the two decorators, the grids."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.probe_samples import conditions, declined, everything, scope_of, source_of, whole
from mmaudit.data import ArrayData
from mmaudit.errors import BadInput, ContractBroken, NotApplicable, UnknownName
from mmaudit.probes import Scope, present_subset, probes
from mmaudit.probes.base import Probes, corruption, probe
from mmaudit.probes.proof import moved
from mmaudit.types import Modality, Task

FIVE = (1, 2, 3, 4, 5)
TASK = Task.classification(3)
IMAGE = Modality("photo", "image", (8, 8, 3), "uint8", "HWC", (0, 255))
TEXT = Modality("text", "text", (), "str")
TABLE = Modality("table", "tabular", (4,), "float64")
CODES = Modality("codes", "tabular", (4,), "int64")


@pytest.fixture
def registry(monkeypatch):
    """A registry of its own, so that plug-ins made in a test are gone after it."""
    own = Probes("probe")
    monkeypatch.setattr("mmaudit.probes.base.probes", own)
    return own


@pytest.fixture(scope="module")
def data():
    return everything(n=10, only=("hwc", "question", "table"))


def names(patterns):
    return [p.name for p in probes.select(patterns)]


def test_select_by_full_name_short_name_family_and_glob():
    assert names("image.gaussian_blur") == ["image.gaussian_blur"]
    assert names(["gaussian_noise_convex"]) == sorted(
        f"{kind}.gaussian_noise_convex" for kind in ("audio", "embedding", "image", "series", "tabular")
    )
    assert names(["control"]) == ["destroy", "identity"]
    assert names(["missing"]) == ["missing"], "a full name comes before a family of the same name"
    assert names(["missing_rate*"]) == ["missing_rate", "missing_rate_shared"]
    assert names(["text.*", "text.keyboard", "mismatch"]) == [*names(["text.*"]), "mismatch"]
    assert len(names("*")) == len(probes.names())


def test_select_suggests_the_nearest_name():
    with pytest.raises(UnknownName, match=r"'gausian_blur' is not registered; did you mean 'image.gaussian_blur'"):
        probes.select(["gausian_blur"])


def test_corruption_is_registered_once_per_kind(registry):
    @corruption("shift", kinds=("audio", "series"), severities=FIVE, unit="steps", version=3)
    def shift(x, severity):
        """Shift by whole steps.

        More about it.
        """
        return np.roll(x, int(severity), 0)

    assert registry.names() == ["audio.shift", "series.shift"]
    found = registry.get("audio.shift")
    assert (found.family, found.version, found.unit, found.kinds) == ("corruption", 3, "steps", ("audio",))
    assert found.summary == "Shift by whole steps"
    assert found.severities == (1.0, 2.0, 3.0, 4.0, 5.0)
    sound = Modality("sound", "audio", (10,), "float32")
    grid = conditions(found, Scope((sound, TEXT), TASK, positions=(2, 5), repeats=3))
    assert [(c.position, c.severity, c.repeat) for c in grid] == [(2, 2.0, 0), (5, 5.0, 0)], "no rng, no repeats"


@pytest.mark.parametrize(
    ("fn", "clause"),
    [
        (lambda x, severity, rng, strength: x, "signature"),
        (lambda x, rng: x, "signature"),
        (lambda x, severity, **rest: x, "signature"),
    ],
)
def test_corruption_refuses_unknown_parameters(registry, fn, clause):
    fn.__doc__ = "Does things."
    with pytest.raises(ContractBroken) as error:
        corruption("odd", kinds=("audio",), severities=FIVE, unit="steps")(fn)
    assert error.value.clause == clause
    assert registry.names() == []


@pytest.mark.parametrize("table", [(1, 2, 3), (1, 2, 3, 5, 4), (0, 1, 2, 3, 4), (1, 1, 2, 3, 4)])
def test_corruption_refuses_a_table_that_does_not_grow(registry, table):
    with pytest.raises(ContractBroken, match="five increasing numbers above 0"):
        corruption("odd", kinds=("audio",), severities=table, unit="steps")


def test_corruption_refuses_unknown_kinds_no_docstring_and_taken_names(registry):
    with pytest.raises(ContractBroken, match="video"):
        corruption("odd", kinds=("video",), severities=FIVE, unit="steps")
    with pytest.raises(ContractBroken, match="docstring"):
        corruption("odd", kinds=("audio",), severities=FIVE, unit="steps")(lambda x, severity: x)

    def same(x, severity):
        """Nothing."""
        return x

    corruption("odd", kinds=("audio",), severities=FIVE, unit="steps")(same)
    with pytest.raises(ContractBroken, match="already registered"):
        corruption("odd", kinds=("audio",), severities=FIVE, unit="steps")(same)


def test_corruption_that_changes_shape_or_type_is_caught(registry, data):
    @corruption("crop", kinds=("image",), severities=FIVE, unit="px")
    def crop(x, severity):
        """Cut off rows."""
        return x[int(severity) :]

    @corruption("bytes", kinds=("text",), severities=FIVE, unit="none")
    def as_bytes(x, severity):
        """Encode."""
        return x.encode()

    source, batch = source_of(data), whole(data)
    for name, modality, clause in (("image.crop", "hwc", "shape kept"), ("text.bytes", "question", "text stays text")):
        found = registry.get(name)
        with pytest.raises(ContractBroken) as error:
            found.apply(batch, found.condition((modality,), 1.0), source)
        assert error.value.clause == clause


def test_corruption_may_write_to_x_and_return_it(registry, data):
    @corruption("darken", kinds=("image",), severities=(0.1, 0.2, 0.3, 0.4, 0.5), unit="share")
    def darken(x, severity):
        """Take light away, in place."""
        x *= 1 - severity
        return x

    source, batch = source_of(data), whole(data)
    before = batch.inputs["hwc"].copy()
    new = registry.get("image.darken").apply(batch, registry.get("image.darken").condition(("hwc",), 0.2), source)
    assert np.array_equal(batch.inputs["hwc"], before)
    present = batch.present["hwc"]
    assert np.array_equal(new.inputs["hwc"][present], np.rint(before[present] * 0.8).astype(np.uint8))


def test_corruption_gets_what_it_asks_for(registry, data):
    seen = {}

    @corruption("look", kinds=("image",), severities=FIVE, unit="none")
    def look(x, severity, rng, modality, statistics):
        """Look only."""
        seen.update(x=x.copy(), rng=rng, modality=modality, statistics=statistics)
        return x

    source, batch = source_of(data), whole(data)
    new = registry.get("image.look").apply(batch, registry.get("image.look").condition(("hwc",), 1.0), source)
    assert np.array_equal(new.inputs["hwc"], batch.inputs["hwc"]), "there and back gives the same bytes"
    assert seen["x"].dtype == np.float32
    assert 0 <= seen["x"].min() < seen["x"].max() <= 1
    assert seen["modality"] is source.modality("hwc")
    assert np.allclose(seen["statistics"].mean * 255, source.statistics["hwc"].mean, atol=1e-3)
    assert isinstance(seen["rng"], np.random.Generator)


def test_probe_that_changes_something_else_is_caught(registry, data):
    def grid(scope):
        yield registry.get("liar").condition(scope.names[:1])

    @probe("liar", family="scenario", grid=grid)
    def liar(batch, condition, source):
        """Says one thing, does another."""
        return batch.replace({"question": batch.inputs["question"].copy()})

    found = registry.get("liar")
    with pytest.raises(ContractBroken, match="changed 'question'"):
        found.apply(whole(data), found.condition(("hwc",)), source_of(data))


def test_bad_severities_and_modalities_are_refused(data):
    source, batch = source_of(data), whole(data)
    noise = probes.get("image.gaussian_noise")
    for severity in (-1.0, float("nan"), float("inf")):
        with pytest.raises(BadInput, match="must be 0 or more"):
            noise.apply(batch, noise.condition(("hwc",), severity), source)
    with pytest.raises(UnknownName, match="did you mean 'question'"):
        noise.apply(batch, noise.condition(("questions",), 0.1), source)
    convex = probes.get("image.gaussian_noise_convex")
    with pytest.raises(BadInput, match="above 1"):
        convex.apply(batch, convex.condition(("hwc",), 1.5), source)
    rate = probes.get("missing_rate")
    with pytest.raises(BadInput, match="share of the samples"):
        rate.apply(batch, rate.condition(("hwc",), 1.5, (("baseline", "zero"),)), source)
    for name, option in (("missing", "baseline"), ("missing_rate", "baseline"), ("mismatch", "pool")):
        with pytest.raises(BadInput, match=f"no option '{option}'"):
            probes.get(name).apply(batch, probes.get(name).condition(("hwc",), 0.5), source)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"positions": (0, 1)}, BadInput),
        ({"rates": (0.0,)}, BadInput),
        ({"rates": (1.5,)}, BadInput),
        ({"repeats": 0}, BadInput),
        ({"baselines": ("zeros",)}, UnknownName),
        ({"pools": ("any",)}, UnknownName),
        ({"subsets": (("sound",),)}, UnknownName),
    ],
)
def test_scope_refuses_what_no_probe_could_do(options, error):
    with pytest.raises(error):
        Scope((IMAGE, TEXT), TASK, **options)


def test_integer_columns_decline_noise():
    for name in ("tabular.gaussian_noise_additive", "tabular.gaussian_noise_convex"):
        scope = Scope((TABLE, CODES), TASK, positions=(1,))
        assert [c.modalities for c in conditions(probes.get(name), scope)] == [("table",)]
        (refused,) = declined(probes.get(name), scope)
        assert refused.modalities == ("codes",)
        assert "category codes" in refused.reason


def test_images_without_range_or_layout_decline():
    for modality in (Modality("x", "image", (8, 8), "float32", "HW"), Modality("x", "image", (8, 8), "uint8")):
        scope = Scope((modality,), TASK)
        assert conditions(probes.get("image.gaussian_noise"), scope) == []
        assert len(declined(probes.get("image.gaussian_noise"), scope)) == 1


def test_missing_enumerates_every_proper_subset_per_baseline():
    modalities = (IMAGE, TEXT, TABLE)
    scope = Scope(modalities, TASK, native=True, baselines=("native", "zero"))
    grid = conditions(probes.get("missing"), scope)
    assert len(grid) == 2 * (2**3 - 1)
    kept = [present_subset(c, scope.names) for c in grid if c.option("baseline") == "zero"]
    assert kept == [
        ("text", "table"), ("photo", "table"), ("photo", "text"), ("table",), ("text",), ("photo",), (),
    ]  # fmt: skip
    assert conditions(probes.get("missing"), Scope((IMAGE,), TASK, baselines=("zero",)))[0].modalities == ("photo",)


def test_missing_takes_the_subsets_asked_for_once_and_never_the_full_one():
    subsets = (("text", "photo"), ("photo", "text"), (), ("photo", "text", "table"))
    scope = Scope((IMAGE, TEXT, TABLE), TASK, baselines=("zero",), subsets=subsets)
    assert [c.modalities for c in conditions(probes.get("missing"), scope)] == [("table",), ("photo", "table", "text")]


def test_missing_declines_what_has_no_such_stand_in():
    scope = Scope((IMAGE, TEXT, CODES), TASK, repeats=3)
    grid = conditions(probes.get("missing"), scope)
    found = {b: {c.modalities for c in grid if c.option("baseline") == b} for b in scope.baselines}
    assert found["native"] == set()
    assert len(found["zero"]) == len(found["marginal"]) == 7
    assert found["mean"] == {("photo",), ("codes",), ("codes", "photo")}
    assert found["noise"] == {("photo",), ("text",), ("photo", "text")}
    repeats = {b: {c.repeat for c in grid if c.option("baseline") == b} for b in scope.baselines}
    assert repeats["zero"] == repeats["mean"] == {0}
    assert repeats["marginal"] == repeats["noise"] == {0, 1, 2}
    reasons = [(d.modalities, d.reason) for d in declined(probes.get("missing"), scope)]
    assert [m for m, _ in reasons] == [("photo", "text", "codes"), ("text",), ("codes",)]
    assert "has no mean" in reasons[1][1]


def test_missing_rate_takes_the_first_baseline_that_applies():
    def baselines(**options):
        grid = conditions(probes.get("missing_rate"), Scope((IMAGE, TEXT), TASK, **options))
        return {c.modalities[0]: c.option("baseline") for c in grid}

    assert baselines(native=True) == {"photo": "native", "text": "native"}
    assert baselines() == {"photo": "zero", "text": "zero"}
    assert baselines(baselines=("mean", "marginal")) == {"photo": "mean", "text": "marginal"}
    scope = Scope((IMAGE, TEXT), TASK, baselines=("mean",))
    assert [d.modalities for d in declined(probes.get("missing_rate"), scope)] == [("text",)]
    condition = conditions(probes.get("missing_rate"), scope)[1]
    assert condition.label == "missing_rate[photo, baseline=mean]@0.3"
    assert condition.unit == "share of samples"


def test_mismatch_declines_what_it_cannot_do():
    assert len(conditions(probes.get("mismatch"), Scope((IMAGE, TEXT), TASK))) == 6
    scope = Scope((IMAGE, TEXT), Task.regression(1))
    assert {c.option("pool") for c in conditions(probes.get("mismatch"), scope)} == {"random"}
    assert len(declined(probes.get("mismatch"), scope)) == 2
    assert conditions(probes.get("mismatch"), Scope((IMAGE,), TASK)) == []


def test_native_absence_keeps_the_arrays(data):
    batch = whole(data)
    condition = probes.get("missing").condition(("hwc", "table"), options=(("baseline", "native"),))
    new = probes.get("missing").apply(batch, condition, source_of(data))
    assert all(new.inputs[m] is batch.inputs[m] for m in batch.inputs)
    assert not new.present["hwc"].any()
    assert not new.present["table"].any()
    assert new.present["question"] is batch.present["question"]


def test_stand_ins_are_shared_between_subsets(data):
    source, batch, missing = source_of(data), whole(data), probes.get("missing")
    for baseline in ("native", "zero", "marginal", "noise"):
        option = (("baseline", baseline),)
        one, two = (
            missing.apply(batch, missing.condition(m, options=option), source) for m in (("hwc",), ("hwc", "table"))
        )
        assert one.inputs["hwc"] is two.inputs["hwc"]
        assert one.present["hwc"] is two.present["hwc"]


def test_stand_ins_decline_by_name(data):
    source, batch = source_of(data), whole(data)
    with pytest.raises(NotApplicable, match="no mean"):
        source.stand_in("mean", "question", batch)
    with pytest.raises(UnknownName, match="native"):
        source.stand_in("native", "hwc", batch)
    assert set(source.stand_in("zero", "question", batch)) == {""}


def test_one_sample_alone_has_no_donor_and_stays():
    one = ArrayData(
        {"a": np.arange(4.0)[:, None], "b": np.ones((4, 1))},
        np.arange(4) % 2,
        TASK,
        present={"a": [False, True, False, False]},
    )
    source, batch = source_of(one), whole(one)
    mismatch = probes.get("mismatch")
    for pool in ("random", "within_class", "across_class"):
        new = mismatch.apply(batch, mismatch.condition(("a",), options=(("pool", pool),)), source)
        assert np.array_equal(new.inputs["a"], batch.inputs["a"])
    assert np.array_equal(source.stand_in("marginal", "a", batch), batch.inputs["a"])


def test_identity_gives_equal_new_objects(data):
    batch = whole(data)
    condition = probes.get("identity").condition(tuple(batch.inputs))
    new = probes.get("identity").apply(batch, condition, source_of(data))
    for m, array in batch.inputs.items():
        assert new.inputs[m] is not array
        assert np.array_equal(new.inputs[m], array)
        assert new.present[m] is batch.present[m]


def test_source_refuses_positions_that_are_no_donors(data):
    with pytest.raises(BadInput, match="without a donor"):
        source_of(data).values("table", np.array([0, -1]))
    with pytest.raises(UnknownName, match="did you mean 'table'"):
        source_of(data).modality("tabel")


def test_moved_compares_ragged_rows_text_and_absent_values():
    sound = Modality("s", "audio", (None,), "float32")
    a, b = np.empty(3, object), np.empty(3, object)
    a[0], a[1], a[2] = np.ones(4, np.float32), np.ones(4, np.float32), np.ones(2, np.float32)
    b[0], b[1], b[2] = a[0], np.ones(4, np.float32), np.ones(4, np.float32)
    changed, far = moved(a, b, sound)
    assert changed.tolist() == [False, False, True]
    assert far.tolist() == pytest.approx([0, 0, np.sqrt(0.5)])
    words = np.array(["abc", "x", "same" * 200 + "a"], object), np.array(["abd", "x", "same" * 200 + "b"], object)
    changed, far = moved(*words, TEXT)
    assert changed.tolist() == [True, False, True]
    assert far.tolist() == pytest.approx([1 / 3, 0, 0])
    table = np.array([[1.0, np.nan], [1.0, np.nan]])
    assert moved(table, table.copy(), TABLE)[0].tolist() == [False, False]
    assert moved(table, table, TABLE)[1].tolist() == [0, 0]
    flags = np.array([[True, False]]), np.array([[True, True]])
    assert moved(*flags, CODES)[1].tolist() == pytest.approx([np.sqrt(0.5)])
    with pytest.raises(BadInput, match="2 rows cannot be compared with 1"):
        moved(table[:1], table, TABLE)


def test_every_probe_states_conditions_for_the_whole_data_set():
    scope = scope_of(everything())
    for found in probes:
        assert conditions(found, scope), f"{found.name} has nothing to do on a data set of every kind"

"""From strings and objects to models: every way in, and every way it can go wrong."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from mmaudit.errors import BadInput
from mmaudit.models import (
    FunctionModel,
    SklearnModel,
    TorchModel,
    as_model,
    load_factory,
    load_model,
)
from model_cases import (
    batch_of,
    module_of,
    one_thread,  # noqa: F401  (a fixture)
    random_batch,
)

NAMES = ("image", "text")
MODULE = """
    import numpy as np
    import torch
    from torch import nn
    from sklearn.linear_model import LogisticRegression
    from mmaudit.models import FunctionModel, TorchModel

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.layer = nn.Linear(5, 4)

        def forward(self, text, image):
            return self.layer(text) + image.flatten(1)[:, :4]

    class Unnamed(Net):
        def forward(self, *inputs):
            return super().forward(*inputs)

    class Short(Net):
        def forward(self, scale=1.0, *, text):
            return self.layer(text) * scale

    class Other(Net):
        def forward(self, x, image):
            return super().forward(x, image)

    def make():
        return TorchModel(Net().eval(), ["text", "image"], outputs="logits")

    def net():
        return Net().eval()

    def training():
        return Net()

    def unnamed():
        return Unnamed().eval()

    def short():
        return Short().eval()

    def other():
        return Other().eval()

    def needs(width):
        return Net()

    def fails():
        raise RuntimeError("no weights here")

    def nothing():
        return None

    def function():
        return lambda image, text: text[:, :4]

    def frame():
        import pandas
        x = pandas.DataFrame({"age": np.arange(20.0), "size": np.arange(20.0) % 3})
        return LogisticRegression().fit(x, np.arange(20) % 2)

    def matrix():
        return LogisticRegression().fit(np.arange(40.0).reshape(20, 2), np.arange(20) % 2)

    ready = make()
    raw = net()
    number = 3

    class Holder:
        make = staticmethod(make)
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a module in the current folder; forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p])
    before = set(sys.modules)
    (tmp_path / "user_model.py").write_text(textwrap.dedent(MODULE))
    yield "user_model"
    for name in set(sys.modules) - before:
        if name.startswith(("user_", "broken_")):
            del sys.modules[name]


def test_a_factory_in_the_current_folder(here: str) -> None:
    model = load_factory(f"{here}:make")
    assert isinstance(model, TorchModel)
    assert as_model(model) is model
    assert sys.path[-1] == str(Path.cwd()), "last, so that it hides no installed package"


def test_an_object_is_not_called(here: str) -> None:
    assert isinstance(load_factory(f"{here}:ready"), TorchModel)
    assert isinstance(load_factory(f"{here}:raw"), nn.Module)
    assert load_factory(f"{here}:number") == 3
    assert isinstance(load_factory(f"{here}:Holder.make"), TorchModel)
    assert isinstance(load_factory(f"{here}:Net"), nn.Module), "a class is a factory"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("user_model", "neither an import path nor a model file; expected package.module:factory, with a colon"),
        ("user_model.py:make", "is not an import path; expected package.module:factory"),
        ("./user_model:make", "is not an import path"),
        ("user_model:", "is not an import path"),
        (":make", "is not an import path"),
        ("user_mdel:make", "there is no module 'user_mdel', neither installed nor in"),
        ("user_model.sub:make", "there is no module 'user_model.sub'"),
        ("user_model:mak", "user_model has no attribute 'mak'; did you mean 'make'"),
        ("user_model:zzz", "has no attribute 'zzz'; it has FunctionModel, Holder"),
        ("user_model:Holder.mke", "Holder has no attribute 'mke'; did you mean 'make'"),
        ("user_model:fails", "calling it raised RuntimeError: no weights here"),
        ("user_model:needs", "calling it raised TypeError.*'width'.*It must work without arguments"),
        ("weights.safetensors", "holds weights only, no model.*load_weights"),
        ("checkpoint.ckpt", "holds weights only"),
        ("missing.pt", "'missing.pt' does not exist"),
    ],
)
def test_what_a_bad_path_says(here: str, spec: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        load_factory(spec, trust=True)


def test_modules_that_do_not_import(here: str) -> None:
    Path("broken_syntax.py").write_text("def f(:\n")
    Path("broken_need.py").write_text("import a_package_nobody_has\n")
    Path("broken_raise.py").write_text("raise ValueError('at import')\n")
    for name, message in (
        ("broken_syntax", "importing broken_syntax raised SyntaxError"),
        ("broken_need", "needs 'a_package_nobody_has', which is not installed"),
        ("broken_raise", "importing broken_raise raised ValueError: at import"),
    ):
        with pytest.raises(BadInput, match=message) as error:
            load_factory(f"{name}:make")
        assert error.value.__cause__ is not None, "the original error is kept"


def test_raw_objects_say_which_adapter_they_need() -> None:
    estimator = LogisticRegression().fit(np.arange(8.0).reshape(4, 2), [0, 1, 0, 1])
    for given, message in (
        (
            module_of("product"),
            r"object of type 'Product' does not say which.*not guess; wrap it.*TorchModel\(",
        ),
        (estimator, r"object of type 'LogisticRegression'.*SklearnModel\("),
        (len, r"function 'len'.*FunctionModel\("),
        (
            3,
            "object of type 'int' is not a model: it has no name, modalities, outputs, native_absence, ",
        ),
        (TorchModel, "class 'TorchModel' is not a model: it has no"),
    ):
        with pytest.raises(BadInput, match=message):
            as_model(given)


def test_what_lacks_one_attribute_only() -> None:
    class Almost:
        name = "almost"
        modalities = NAMES
        native_absence = False
        fingerprint = "0"

        def predict(self, batch: Any) -> Any:
            return batch

    with pytest.raises(BadInput, match="is not a model: it has no outputs\\. Give"):
        as_model(Almost())


def test_asking_whether_it_is_a_model_computes_no_fingerprint() -> None:
    class Expensive:
        name = "expensive"
        modalities = NAMES
        outputs = "logits"
        native_absence = False

        @property
        def fingerprint(self) -> str:
            raise AssertionError("computed")

        def predict(self, batch: Any) -> Any:
            return batch

    model = Expensive()
    assert as_model(model) is model


def test_raw_objects_with_options() -> None:
    wrapped = as_model(module_of("product"), {"modalities": NAMES, "outputs": "logits", "call": "keyword"})
    assert isinstance(wrapped, TorchModel)
    assert isinstance(as_model(lambda x: x, {"modalities": ["x"], "outputs": "values"}), FunctionModel)
    with pytest.raises(BadInput, match="outputs is not given"):
        as_model(module_of("product"), {"modalities": NAMES})
    with pytest.raises(BadInput, match="lack 'modalities'"):
        as_model(module_of("product"), {"outputs": "logits"})
    with pytest.raises(BadInput, match="unexpected keyword argument 'output_scale'"):
        as_model(module_of("product"), {"modalities": NAMES, "output_scale": "logits"})
    with pytest.raises(BadInput, match="is complete; the options outputs have no place"):
        as_model(wrapped, {"outputs": "logits"})


def test_load_model_matches_inputs_by_name(here: str) -> None:
    expected = load_model(f"{here}:make", modalities=NAMES).predict(random_batch(3))
    raw = load_model(f"{here}:net", modalities=NAMES, outputs="logits")
    assert raw.modalities == ("text", "image")
    assert np.array_equal(raw.predict(random_batch(3)), expected)
    part = load_model(f"{here}:short", modalities=NAMES, outputs="logits")
    assert part.modalities == ("text",)
    assert load_model(f"{here}:function", modalities=NAMES, outputs="logits").modalities == NAMES


@pytest.mark.parametrize(
    ("factory", "options", "message"),
    [
        ("net", {}, "outputs is not given"),
        ("training", {"outputs": "logits"}, "in training mode"),
        ("unnamed", {"outputs": "logits"}, "takes no parameters by name, the data has 'image', 'text'"),
        ("other", {"outputs": "logits"}, r"takes 'x', 'image', the data has .*TorchModel\(\.\.\., modalities"),
        ("make", {"outputs": "probabilities"}, "declares outputs='logits', but 'probabilities' was asked for"),
        ("make", {"weights": "w.safetensors"}, "is an object of type 'TorchModel', no torch module"),
        ("matrix", {}, "fitted without feature names"),
        ("number", {}, "object of type 'int' is not a model"),
        ("nothing", {"outputs": "logits"}, "object of type 'NoneType' is not a model"),
    ],
)
def test_load_model_guesses_nothing(here: str, factory: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_model(f"{here}:{factory}", modalities=NAMES, **options)


def test_load_model_reads_estimators_with_feature_names(here: str) -> None:
    model = load_model(f"{here}:frame", modalities=["size", "age"])
    assert isinstance(model, SklearnModel)
    assert model.predict(batch_of({"size": np.arange(4.0), "age": np.arange(4.0)})).shape == (4, 2)


def test_load_model_with_weights(here: str) -> None:
    trained = load_factory(f"{here}:net")
    with torch.no_grad():
        trained.layer.bias += 1
    safetensors.torch.save_file(trained.state_dict(), "w.safetensors")
    model = load_model(f"{here}:training", modalities=NAMES, outputs="logits", weights="w.safetensors")
    expected = as_model(trained, {"modalities": ("text", "image"), "outputs": "logits"}).predict(random_batch(3))
    assert np.array_equal(model.predict(random_batch(3)), expected)

"""Digests of functions and objects: the same for the same, in every process, and different for what differs."""

from __future__ import annotations

import copy
import functools
import os
import subprocess
import sys
import textwrap
from typing import Any

import numpy as np
import pytest
import torch

from mmaudit.models import FunctionModel, behaviour
from mmaudit.models.fingerprints import code_digest, object_digest
from model_cases import (
    one_thread,  # noqa: F401  (a fixture)
    random_batch,
)


def defined(source: str, name: str = "f") -> Any:
    scope: dict[str, Any] = {}
    exec(textwrap.dedent(source), scope)
    return scope[name]


def scaled(factor: Any) -> Any:
    def inner(x: Any) -> Any:
        return x * factor

    return inner


def test_closed_over_values_count() -> None:
    assert code_digest(scaled(2)) == code_digest(scaled(2)) != code_digest(scaled(3))
    assert code_digest(scaled(np.ones(3))) != code_digest(scaled(np.zeros(3)))
    assert code_digest(scaled(torch.ones(3))) != code_digest(scaled(torch.zeros(3)))
    assert code_digest(scaled(torch.ones(3))) == code_digest(scaled(torch.ones(3)))
    assert code_digest(scaled(scaled(1))) != code_digest(scaled(scaled(2)))


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("def f(x): return x + 1", "def f(x): return x + 2"),
        ("def f(x): return x + 1", "def f(x): return x - 1"),
        ("def f(x, a=1): return x", "def f(x, a=2): return x"),
        ("def f(x, *, a=1): return x", "def f(x, *, a=2): return x"),
        ("def f(x): return x.a", "def f(x): return x.b"),
        ("def f(x): return (lambda y: y + 1)(x)", "def f(x): return (lambda y: y + 2)(x)"),
        ("def f(x): return x in {1, 2}", "def f(x): return x in {1, 3}"),
    ],
)
def test_code_without_source_counts_by_its_instructions(one: str, two: str) -> None:
    assert code_digest(defined(one)) == code_digest(defined(one)) != code_digest(defined(two))


def test_lambdas_on_one_line_differ() -> None:
    one, two = (lambda x: x + 1), (lambda x: x + 2)
    assert code_digest(one) != code_digest(two)


def test_comments_and_docstrings_do_not_count() -> None:
    def plain(x: Any) -> Any:
        return x + 1

    first = code_digest(plain)

    def plain(x: Any) -> Any:  # type: ignore[no-redef]
        """Add one."""
        # as said
        return x + 1

    assert code_digest(plain) == first


def test_all_sorts_of_callables() -> None:
    class Adder:
        def __init__(self, n: int) -> None:
            self.n = n

        def __call__(self, x: Any) -> Any:
            return x + self.n

        def method(self, x: Any) -> Any:
            return x - self.n

    assert code_digest(Adder(1)) == code_digest(Adder(1)) != code_digest(Adder(2))
    assert code_digest(Adder(1).method) == code_digest(Adder(1).method) != code_digest(Adder(2).method)
    assert code_digest(functools.partial(max, 1)) != code_digest(functools.partial(max, 2))
    assert code_digest(len) != code_digest(max)
    assert code_digest(np.sin) != code_digest(np.cos)
    assert code_digest(Adder) == code_digest(Adder)


def test_a_function_that_calls_itself_through_a_closure() -> None:
    def make() -> Any:
        def inner(n: int) -> int:
            return n and inner(n - 1)

        return inner

    assert code_digest(make()) == code_digest(make())


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (1, 2), (1, 1.0), (1, True), ("a", b"a"), ("1", 1), (None, "None"),
        ([1, 2], (1, 2)), ([1, [2]], [[1], 2]), (["ab", "c"], ["a", "bc"]), ({"a": 1}, {"a": 2}), ({1, 2}, {1, 3}),
        (np.ones(2), np.ones(2, np.float32)), (np.ones((2, 3)), np.ones((3, 2))), (np.zeros(2), np.array([0, 1e-300])),
        (np.array(["a", None], object), np.array(["a", "b"], object)), (int, float),
    ],
)  # fmt: skip
def test_values_that_differ(one: Any, two: Any) -> None:
    assert object_digest(one) == object_digest(copy.deepcopy(one))
    assert object_digest(one) != object_digest(two)


def test_order_of_dictionaries_and_sets_does_not_count() -> None:
    assert object_digest({"a": 1, "b": 2}) == object_digest({"b": 2, "a": 1})
    assert object_digest(set("abcdef")) == object_digest(set("fedcba"))


def test_padding_between_fields_does_not_count() -> None:
    kind = np.dtype([("a", "u1"), ("b", "f8")], align=True)
    # The copy may or may not take the padding along, so the other bytes are written.
    padded = bytearray(range(32))
    padded[1:8] = padded[17:24] = bytes(7)
    raw = np.frombuffer(bytearray(range(32)), kind)
    other = np.frombuffer(padded, kind)
    assert raw.tobytes() != other.tobytes()
    assert object_digest(raw) == object_digest(other)


def test_objects_that_contain_themselves() -> None:
    one: list[Any] = [1]
    one.append(one)
    two: list[Any] = [2]
    two.append(two)
    assert object_digest(one) == object_digest(copy.deepcopy(one)) != object_digest(two)


def test_random_state_does_not_count() -> None:
    used = np.random.RandomState(1)
    used.random(5)
    assert object_digest(used) == object_digest(np.random.RandomState(0))


def test_objects_without_readable_state_count_by_class() -> None:
    class Sealed:
        def __reduce_ex__(self, protocol: Any) -> Any:
            raise TypeError("no")

    assert object_digest(Sealed()) == object_digest(Sealed())


def test_digests_are_the_same_in_every_process() -> None:
    program = """
        from sklearn.feature_extraction.text import TfidfVectorizer
        from mmaudit.models.fingerprints import code_digest, object_digest
        vectoriser = TfidfVectorizer(stop_words="english").fit(["red circle", "blue square", "red square"])
        print(object_digest(vectoriser))
        print(code_digest(lambda x: x in {"a", "b", "c"}))
        print(object_digest({"a", "b", "c"}))
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    runs = {
        subprocess.run(
            command, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(runs) == 1
    assert len(set(runs.pop().split())) == 3


def test_behaviour_is_what_the_model_answers() -> None:
    def model_of(factor: float) -> FunctionModel:
        return FunctionModel(lambda text: text * factor, ["text"], outputs="logits")

    batch = random_batch(20)
    assert behaviour(model_of(1.0), batch) == behaviour(model_of(1.0 + 1e-9), batch)
    assert behaviour(model_of(1.0), batch) != behaviour(model_of(1.1), batch)
    longer = batch.replace({"text": np.concatenate([batch.inputs["text"][:16], np.zeros((4, 5), np.float32)])})
    assert behaviour(model_of(1.0), batch) == behaviour(model_of(1.0), longer), "only 16 rows are asked"
    assert behaviour(model_of(0.0), batch) != behaviour(model_of(np.nan), batch)

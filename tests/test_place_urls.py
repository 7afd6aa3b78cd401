"""Addresses that name more than one place, or hold a password: refused before anything is opened or written."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmaudit.errors import BadInput
from mmaudit.place import place

pytest.importorskip("upath")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("memory://a::file:///etc", "holds another"),
        ("s3://bucket/a::b", "chains file systems"),
        ("simplecache::s3://me:secret@bucket/run", "chains file systems"),
        ("s3://me@home:secret@bucket/run", "holds a password"),
        ("memory://other://run", "holds another"),
        ("memory:/memory:/run", "holds another"),
    ],
)
def test_one_url_names_one_store_and_no_password(given: str, said: str) -> None:
    with pytest.raises(BadInput, match=said) as raised:
        place(given)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("given", ["memory://box//runs///mine", "memory://box/runs/mine/", "memory://box/./runs/mine"])
def test_a_url_is_the_same_whether_pathlib_saw_it_or_not(given: str) -> None:
    assert str(place(given)) == str(place(Path(given))) == "memory://box/runs/mine"

"""The pytest plug-in: the fixture `assert_robust`. Loaded into every pytest run, so it imports nothing of mmaudit's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture(name="assert_robust", scope="session")
def _assert_robust() -> Callable[..., Any]:
    """Assert that a model's metric drops by at most so much under a probe; see `mmaudit.testing.assert_robust`."""
    from mmaudit.testing import assert_robust

    return assert_robust

"""What every refusal is: one sentence for the user."""

from __future__ import annotations


def require_one_sentence(error: Exception) -> None:
    text = str(error)
    assert "\n" not in text
    assert 20 < len(text) < 600
    assert "Traceback" not in text

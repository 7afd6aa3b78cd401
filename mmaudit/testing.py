"""Assertions about a model's robustness, for tests."""

"""Retrieval at the border: candidate banks, their features on disk, and the ranks a model gives, block by block."""

from mmaudit.retrieval.bank import Bank
from mmaudit.retrieval.border import Border
from mmaudit.retrieval.rank import Ranker

__all__ = ["Bank", "Border", "Ranker"]

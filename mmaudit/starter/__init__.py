"""`mmaudit init`: look at a model and a data file, and write an adapter and a configuration that run at once."""

from mmaudit.starter.models import KINDS
from mmaudit.starter.write import Written, start

__all__ = ["KINDS", "Written", "start"]

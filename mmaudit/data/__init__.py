"""Data sets: what a data set is, and readers that make one from arrays, files, data frames and torch data sets."""

from mmaudit.data.arrays import ArrayData
from mmaudit.data.columns import Indexed
from mmaudit.data.dataset import Dataset, Subset, check, subset, values
from mmaudit.data.frame import FrameData, read_parquet
from mmaudit.data.infer import parse_kind
from mmaudit.data.npz import read_npz
from mmaudit.data.statistics import (
    ModalityStatistics,
    all_statistics,
)
from mmaudit.data.tasks import parse_task
from mmaudit.data.torch_dataset import TorchData

__all__ = [
    "ArrayData",
    "Dataset",
    "FrameData",
    "Indexed",
    "ModalityStatistics",
    "Subset",
    "TorchData",
    "all_statistics",
    "check",
    "parse_kind",
    "parse_task",
    "read_npz",
    "read_parquet",
    "subset",
    "values",
]

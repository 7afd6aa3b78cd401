"""Data sets: what a data set is, and readers that make one from arrays, files, data frames and torch data sets."""

from mmaudit.data.arrays import ArrayData
from mmaudit.data.columns import Indexed
from mmaudit.data.dataset import Dataset, Subset, check, subset, values
from mmaudit.data.frame import FrameData, read_parquet
from mmaudit.data.huggingface import HuggingFaceData
from mmaudit.data.infer import parse_kind
from mmaudit.data.npz import read_npz
from mmaudit.data.public import PUBLIC, read_public, verify_public
from mmaudit.data.reading import read
from mmaudit.data.statistics import (
    ModalityStatistics,
    all_statistics,
)
from mmaudit.data.streamed import StreamedData
from mmaudit.data.table import read_folder, read_table
from mmaudit.data.tasks import parse_task
from mmaudit.data.torch_dataset import TorchData
from mmaudit.data.webdataset import read_webdataset
from mmaudit.data.zarr import read_zarr

__all__ = [
    "PUBLIC",
    "ArrayData",
    "Dataset",
    "FrameData",
    "HuggingFaceData",
    "Indexed",
    "ModalityStatistics",
    "StreamedData",
    "Subset",
    "TorchData",
    "all_statistics",
    "check",
    "parse_kind",
    "parse_task",
    "read",
    "read_folder",
    "read_npz",
    "read_parquet",
    "read_public",
    "read_table",
    "read_webdataset",
    "read_zarr",
    "subset",
    "values",
    "verify_public",
]

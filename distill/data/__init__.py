"""Where examples come from: data sets as tensors, their splits, and batches of them."""

from distill.config.dataset_options import DatasetOptions
from distill.data.augment import Augmentation
from distill.data.batches import Batches, check_batch_size
from distill.data.dataset import Dataset, load
from distill.data.normalization import Normalization
from distill.data.source import Source
from distill.data.sources import datasets
from distill.data.split import Split
from distill.data.stratify import limit

__all__ = [
    "Augmentation",
    "Batches",
    "Dataset",
    "DatasetOptions",
    "Normalization",
    "Source",
    "Split",
    "check_batch_size",
    "datasets",
    "limit",
    "load",
]

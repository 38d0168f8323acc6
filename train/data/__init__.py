"""From corpora to batches: what each corpus is, its download, its clips as a `datasets.Dataset`, splits, and streams.

In: folders, tables and archives of recordings; `train.data.corpora` has one module for each known corpus. Out: rows
with path, label, speaker and corpus, in training, validation and test splits, and the network's batches of them.
"""

from train.data.base import COMMON_LABELS, Corpus, CorpusError, Utterance
from train.data.checksums import ChecksumReport, identical_files, verify_checksums
from train.data.folds import Fold, Protocol
from train.data.loading import load_corpora, load_corpus
from train.data.registry import CORPORA
from train.data.splits import (
    get_folds,
    get_protocol,
    official_split,
    protocols,
    random_split,
    split_fold,
    validation_speakers,
)


__all__ = [
    "COMMON_LABELS",
    "CORPORA",
    "ChecksumReport",
    "Corpus",
    "CorpusError",
    "Fold",
    "Protocol",
    "Utterance",
    "get_folds",
    "get_protocol",
    "identical_files",
    "load_corpora",
    "load_corpus",
    "official_split",
    "protocols",
    "random_split",
    "split_fold",
    "validation_speakers",
    "verify_checksums",
]

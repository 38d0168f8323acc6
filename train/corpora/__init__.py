"""Corpora of emotional speech: what each is, its clips as a `datasets.Dataset`, and the splits of evaluation."""

from train.corpora.base import COMMON_LABELS, Corpus, CorpusError, Utterance
from train.corpora.checksums import ChecksumReport, identical_files, verify_checksums
from train.corpora.loading import load_corpora, load_corpus
from train.corpora.registry import CORPORA
from train.corpora.splits import (
    PROTOCOLS,
    Fold,
    Protocol,
    get_folds,
    labels_in_common,
    official_split,
    random_split,
    split_fold,
    validation_speakers,
)


__all__ = [
    "COMMON_LABELS",
    "CORPORA",
    "PROTOCOLS",
    "ChecksumReport",
    "Corpus",
    "CorpusError",
    "Fold",
    "Protocol",
    "Utterance",
    "get_folds",
    "identical_files",
    "labels_in_common",
    "load_corpora",
    "load_corpus",
    "official_split",
    "random_split",
    "split_fold",
    "validation_speakers",
    "verify_checksums",
]

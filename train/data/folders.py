"""A general corpus: a folder for each label, and in it the clips or a folder for each speaker."""

import logging
import re
from collections.abc import Iterator
from pathlib import Path

from train.data.base import Corpus, CorpusError, Utterance, audio_files, common_name, plural


logger = logging.getLogger(__name__)


def folder_corpus(folder: Path) -> Corpus:
    """Corpus of `LABEL/clip.wav` and `LABEL/SPEAKER/clip.wav` below a folder.

    Labels are brought to the common names where they are known (`Anger` -> angry) and kept otherwise. Clips without a
    folder for their speaker all count as one speaker, "NAME-unknown".

    Raises:
        CorpusError: the folder does not exist.
    """
    if not folder.is_dir():
        raise CorpusError(f"folder:{folder}: there is no such folder. It should hold one folder for each label.")
    name = corpus_name(folder.name)
    return Corpus(
        name=name,
        title=name,
        language="unknown",
        licence="unknown",
        homepage="",
        labels={},
        speakers={},
        clips=None,
        example="angry/clip.wav or angry/SPEAKER/clip.wav",
        read=lambda root: read(root, name),
    )


def read(folder: Path, corpus: str) -> Iterator[Utterance]:
    """All clips that lie in a folder of their label; clips beside these folders have no label and are left out."""
    unlabelled = 0
    for path in audio_files(folder):
        label, *between = path.relative_to(folder).parts[:-1] or [""]
        if label:
            speaker = between[0] if between else "unknown"
            yield Utterance(str(path), common_name(label), f"{corpus}-{speaker}", "unknown", corpus, "unknown")
        else:
            unlabelled += 1
    if unlabelled:
        logger.warning("%s: %s left out, in no folder of a label", corpus, plural(unlabelled, "clip"))


def corpus_name(file_name: str) -> str:
    """Name of a general corpus from that of its folder or table, without hyphens: one ends it in a speaker's name."""
    return re.sub(r"\W+", "_", file_name).strip("_").lower() or "corpus"

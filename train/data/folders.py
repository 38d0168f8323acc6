"""A general corpus: folders of labels and of speakers, one in the other, in either order, also below splits."""

import logging
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ser_model.decoding import AUDIO_SUFFIXES
from train.data.base import (
    COMMON_LABELS,
    LABEL_SYNONYMS,
    Corpus,
    CorpusError,
    Utterance,
    common_name,
    files_below,
    plural,
)


logger = logging.getLogger(__name__)

SPLIT_NAMES = ("train", "training", "test", "testing", "val", "valid", "validation", "dev", "eval", "evaluation")
SHOWN = 10  # names in a message


def folder_corpus(folder: Path) -> Corpus:
    """Corpus of `LABEL/clip`, `LABEL/SPEAKER/clip` or `SPEAKER/LABEL/clip` below a folder, or below splits in it.

    Speakers come first where more clips have a known emotion at their second folder than at their first.

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
        example="angry/clip.wav, angry/SPEAKER/clip.wav or SPEAKER/angry/clip.wav",
        read=lambda root: read(root, name),
    )


def read(folder: Path, corpus: str) -> Iterator[Utterance]:
    """
    All clips that lie in a folder of their label; what is left out is logged: clips in none, and other files.

    Raises:
        CorpusError: the folders are named after splits, and in them are no labels.
    """
    files = files_below(folder, ("",))
    clips = [path for path in files if path.suffix.lower() in AUDIO_SUFFIXES]
    warn_of_others(corpus, [path for path in files if path.suffix.lower() not in AUDIO_SUFFIXES])
    places = {path: path.relative_to(folder).parts[:-1] for path in clips}
    if splits := split_folders(places.values(), folder):
        logger.warning("%s: %s are read together; training splits anew", corpus, ", ".join(splits))
        places = {path: place[1:] for path, place in places.items()}
    speaker_first = has_labels_below_speakers(places.values())
    unlabelled = 0
    for path, place in places.items():
        label, speaker = [*place, "", ""][:2][:: -1 if speaker_first else 1]
        if label:
            name = f"{corpus}-{speaker or 'unknown'}"
            yield Utterance(str(path), common_name(label), name, "unknown", corpus, "unknown")
        else:
            unlabelled += 1
    if unlabelled:
        logger.warning("%s: %s left out, in no folder of a label", corpus, plural(unlabelled, "clip"))


def warn_of_others(corpus: str, others: Sequence[Path]) -> None:
    """Logs files that are no recordings by their names, by suffix: ".txt (2), .pdf (1)"."""
    if others:
        counts = Counter(path.suffix.lower() or path.name for path in others).most_common(SHOWN)
        kinds = ", ".join(f"{suffix} ({count})" for suffix, count in counts)
        logger.warning("%s: %s left out, no recordings by name: %s", corpus, plural(len(others), "file"), kinds)


def split_folders(places: Iterable[Sequence[str]], folder: Path) -> list[str]:
    """
    The folders of splits, if clips lie below them and nowhere else.

    Raises:
        CorpusError: there are folders of splits, and others beside them or no folders in them.
    """
    places = [place for place in places if place]
    tops = sorted({place[0] for place in places})
    splits = [name for name in tops if name.lower() in SPLIT_NAMES]
    if splits and (splits != tops or any(len(place) < 2 for place in places)):
        raise CorpusError(
            f"folder:{folder}: found the folders {', '.join(tops[:SHOWN])}; {', '.join(splits)} are names of splits, "
            "not of labels. Accepted are LABEL/clip, LABEL/SPEAKER/clip, SPEAKER/LABEL/clip, and each of them below "
            "folders of splits only; or list the clips in a table with path, label and speaker: table:PATH."
        )
    return splits


def has_labels_below_speakers(places: Iterable[Sequence[str]]) -> bool:
    """True if more clips have the name of a known emotion at the second folder than at the first."""
    first, second = ([place[level] for place in places if len(place) > level] for level in (0, 1))
    return sum(map(is_emotion, second)) > sum(map(is_emotion, first))


def is_emotion(name: str) -> bool:
    """True if a folder is named after an emotion that has a common name."""
    return common_name(name) in {*COMMON_LABELS, *LABEL_SYNONYMS.values()}


def corpus_name(file_name: str) -> str:
    """Name of a general corpus from that of its folder or table, without hyphens: one ends it in a speaker's name."""
    return re.sub(r"\W+", "_", file_name).strip("_").lower() or "corpus"

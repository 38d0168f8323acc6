"""Parts of every corpus module: the utterance, the description of a corpus, and the search for audio files."""

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from train.data.folds import Protocol


COMMON_LABELS = ("angry", "calm", "disgust", "fearful", "happy", "neutral", "sad", "surprised")

# Other spellings of the common names, as folders and tables of general corpora have them.
LABEL_SYNONYMS = {
    "anger": "angry",
    "ang": "angry",
    "disgusted": "disgust",
    "dis": "disgust",
    "fear": "fearful",
    "fea": "fearful",
    "happiness": "happy",
    "joy": "happy",
    "hap": "happy",
    "neu": "neutral",
    "sadness": "sad",
    "surprise": "surprised",
    "pleasant_surprise": "surprised",
    "pleasant_surprised": "surprised",
    "ps": "surprised",
    "bored": "boredom",
    "excitement": "excited",
    "frustration": "frustrated",
}

# Of registered corpora, lossless first: where one comes with the same clips twice (CREMA-D's AudioWAV and AudioMP3),
# the first is taken. Their videos are the same clips again; own folders hold whatever ser_model reads.
CORPUS_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")


class CorpusError(ValueError):
    """A corpus that cannot be found, read, labelled or split as asked; the message says what was expected."""


@dataclass(frozen=True)
class Utterance:
    """One clip and what its corpus says of it.

    Attributes:
        path: absolute path of the audio file, not decoded here.
        label: emotion that the speaker was asked to express, by its common name where there is one.
        speaker: unique across corpora: the corpus' name, a hyphen, the corpus' own name of the speaker ("ravdess-08").
        sex: "female", "male" or "unknown".
        corpus: name of the corpus, without a hyphen.
        language: ISO 639-1 code, or "unknown".
        intensity: as the corpus names it, or "".
        sentence: the corpus' own code of what was said, or "". Equal codes in one corpus mean equal words.
    """

    path: str
    label: str
    speaker: str
    sex: str
    corpus: str
    language: str
    intensity: str = ""
    sentence: str = ""


@dataclass(frozen=True)
class Source:
    """One copy of a corpus, which anyone may download.

    Attributes:
        address: `hub:OWNER/NAME` (a dataset of the Hugging Face Hub), `kaggle:OWNER/NAME`, or the URL of an archive.
        md5: of the archive at the URL, where its publisher states one.
    """

    address: str
    md5: str | None = None


@dataclass(frozen=True)
class Corpus:
    """Description of a corpus, and the one function that understands it: `parse` (one clip) or `read` (a folder).

    Attributes:
        name: key in the registry, without a hyphen.
        title: name for messages and tables.
        language: ISO 639-1 code, or "unknown".
        licence: short name of the licence of the recordings.
        homepage: where the corpus comes from.
        labels: the corpus' own code of an emotion -> common name.
        speakers: every speaker of the complete corpus -> sex.
        clips: number of clips of the complete corpus that carry one of `labels`, or None when not known.
        longest_clip: its length in seconds, rounded up; None when not known.
        folders: usual names of its folder beside `name`; case, spaces and punctuation do not matter.
        example: the name of one of its files, for messages.
        speaker_title: how a message names a speaker, "{}" standing for the part of the name after the hyphen.
        parse: from the path of an audio file to its utterance, or to None where it is no clip of this corpus.
        read: from the folder of the corpus to all its utterances, for a corpus whose labels are not in its file names.
        sources: copies that can be downloaded; the first one is taken unless another is asked for. Most are by third
            parties; what they hold is checked after the download.
        licence_steps: how to get a corpus that no command can fetch, or that its owners give only to those who sign;
            "{folder}" is where its files belong.
        protocols: name -> how results on this corpus are obtained; the corpus' own name is that of the usual one.
        among_others: the name of its protocol where several corpora are cross-validated together, if not its own.
        test_speakers: whom the shipped checkpoint never hears. Empty: all train. None: a share of them is drawn.
        unit: from a speaker to the name of those who are held out together.
        common_sentences: the sentences that are spoken in every emotion, where others give it away.
        caveat: what a reader must know to compare figures of this corpus.
    """

    name: str
    title: str
    language: str
    licence: str
    homepage: str
    labels: Mapping[str, str]
    speakers: Mapping[str, str]
    clips: int | None
    example: str
    folders: tuple[str, ...] = ()
    speaker_title: str = "speaker {}"
    parse: Callable[[Path], Utterance | None] | None = None
    read: Callable[[Path], Iterable[Utterance]] | None = None
    sources: tuple[Source, ...] = ()
    licence_steps: str = ""
    protocols: Mapping[str, Protocol] = field(default_factory=dict)
    among_others: str = ""
    test_speakers: tuple[str, ...] | None = None
    unit: Callable[[str], str] = str
    common_sentences: tuple[str, ...] = ()
    caveat: str = ""
    longest_clip: float | None = None

    @property
    def protocol_among_others(self) -> Protocol | None:
        """The protocol of the corpus where several are cross-validated together, if it has one."""
        return self.protocols.get(self.among_others or self.name)


def audio_files(folder: Path) -> list[Path]:
    """All clips of a registered corpus by their suffix: lossless formats first, then by relative path."""
    files = files_below(folder, CORPUS_SUFFIXES)
    return sorted(files, key=lambda path: (CORPUS_SUFFIXES.index(path.suffix.lower()), relative(path, folder)))


def files_below(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """All files below a folder whose names end so, by relative path.

    Links to folders are followed once each; hidden files are left out, among them the "._" companions that macOS
    writes beside every file of an archive.
    """
    found, seen = [], set()
    for directory, subdirectories, names in os.walk(folder, followlinks=True):
        subdirectories[:] = [name for name in subdirectories if not name.startswith(".")]
        if os.path.realpath(directory) in seen:
            subdirectories.clear()
            continue
        seen.add(os.path.realpath(directory))
        found += [Path(directory, name) for name in names if has_suffix(name, suffixes)]
    return sorted(found, key=lambda path: relative(path, folder))


def has_suffix(name: str, suffixes: tuple[str, ...]) -> bool:
    """True if a file of this name is not hidden and ends with one of the suffixes, in any case of letters."""
    return not name.startswith(".") and name.lower().endswith(suffixes)


def relative(path: Path | str, folder: Path) -> str:
    """Path below a folder with forward slashes: the key that rows are sorted by, the same on every machine."""
    return Path(os.path.relpath(path, folder)).as_posix()


def common_name(label: str) -> str:
    """Common name of an emotion: "Anger" -> "angry"; a name that is not known is returned in lower case."""
    plain = re.sub(r"[\s-]+", "_", label.strip().lower())
    return LABEL_SYNONYMS.get(plain, plain)


def ordered_labels(labels: Iterable[str]) -> list[str]:
    """Labels without repetition, the common ones first, each part in alphabetical order."""
    return sorted(set(labels), key=lambda label: (label not in COMMON_LABELS, label))


def plural(count: int, noun: str) -> str:
    """ "1,440 clips", "1 clip"."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")

"""From the name of a corpus to a `datasets.Dataset`: finds it, reads its clips, says what is missing, maps labels."""

import logging
import os
import re
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path

from datasets import ClassLabel, Dataset, Features, Value

from train.data.base import (
    COMMON_LABELS,
    Corpus,
    CorpusError,
    Utterance,
    audio_files,
    ordered_labels,
    plural,
    relative,
)
from train.data.checksums import identical_files
from train.data.registry import CORPORA, general_corpus, get_corpus, unknown_name


logger = logging.getLogger(__name__)

SEARCH_DEPTH = 3  # how many folders below the root the folder of a corpus may lie
SMALLEST_CLIP = 200  # bytes; a header alone has 44 and the pointer that Git LFS leaves for a file about 130
SHOWN = 10  # speakers that a message names before it counts the rest

COLUMNS = tuple(field.name for field in fields(Utterance))


def load_corpus(name: str, corpora_root: str | os.PathLike, *, labels: Sequence[str] | None = None) -> Dataset:
    """Clips of one corpus, with the columns of `load_corpora`.

    Args:
        name: key of `CORPORA`, or a general corpus: `folder:PATH`, `table:PATH`, `parquet:PATH`, `hub:OWNER/NAME`.
        corpora_root: folder that holds the corpora, or the folder of this one.
        labels: names of the label column; by default all that the corpus has, the common ones first.

    Raises:
        CorpusError: as `load_corpora`.
    """
    corpus, utterances = read_corpus(name, Path(corpora_root))
    if labels is None:
        labels = ordered_labels(corpus.labels.values() or (utterance.label for utterance in utterances))
    return build_dataset(utterances, labels, {})


def load_corpora(
    names: Sequence[str],
    corpora_root: str | os.PathLike,
    *,
    labels: Sequence[str],
    label_map: Mapping[str, str | None] | None = None,
) -> Dataset:
    """Clips of several corpora, in the order of their names and within each by relative path. No audio is decoded.

    Args:
        names: keys of `CORPORA`, or general corpora, as in `load_corpus`.
        corpora_root: folder that holds the corpora.
        labels: names of the label column, in its order. Clips with another label are left out, and counted in the log.
        label_map: applied before: {"calm": "neutral"} renames a label, {"boredom": None} leaves its clips out.

    Returns:
        Columns path (absolute), label (ClassLabel), speaker, sex, corpus, language, intensity and sentence, as in
        `Utterance`.

    Raises:
        CorpusError: an unknown name, a corpus that is not there, a label map that does not fit, or no clip left.
    """
    names = list(names)
    if not names or len(set(names)) < len(names):
        raise CorpusError(f"corpora must be named, each once: got {names}.")
    read = [read_corpus(name, Path(corpora_root)) for name in names]
    check_distinct([corpus for corpus, _ in read])
    utterances = [utterance for _, part in read for utterance in part]
    return build_dataset(utterances, labels, label_map or {})


def check_distinct(corpora: Sequence[Corpus]) -> None:
    """Two general corpora whose folders have the same name would mix up their speakers."""
    repeated = [name for name, count in Counter(corpus.name for corpus in corpora).items() if count > 1]
    if repeated:
        raise CorpusError(f"two corpora are named {repeated[0]!r}; rename the folder or table of one of them.")


def read_corpus(name: str, corpora_root: Path) -> tuple[Corpus, list[Utterance]]:
    """Description and utterances of a corpus, ordered by relative path; what is missing or odd is logged.

    Raises:
        CorpusError: an unknown name, no folder of this corpus, or no clip in it.
    """
    if general := general_corpus(name, corpora_root):
        corpus, folder = general
        utterances = read_folder(corpus, folder)
        if not utterances:
            raise CorpusError(f"{name}: no clip found; expected is {corpus.example}.")
    else:
        corpus = get_corpus(name)
        folder, utterances = find_corpus(corpus, corpora_root)
    utterances = without_empty_files(corpus, utterances)
    warn_of_gaps(corpus, utterances)
    warn_of_duplicates(corpus, utterances)
    return corpus, sorted(utterances, key=lambda utterance: relative(utterance.path, folder))


def find_corpus(corpus: Corpus, corpora_root: Path) -> tuple[Path, list[Utterance]]:
    """Folder of a corpus and its utterances: the first folder of a usual name that has clips, else the root itself.

    Raises:
        CorpusError: there is none; the message says where it was looked for and how its files are named.
    """
    root = Path(os.path.abspath(corpora_root.expanduser()))
    if not root.is_dir():
        raise CorpusError(f"{corpus.title}: the folder of the corpora, {root}, does not exist.")
    candidates = [*folders_named(root, (corpus.name, *corpus.folders)), root]
    for folder in candidates:
        if utterances := read_folder(corpus, folder):
            return folder, utterances
    searched = ", ".join(str(folder) for folder in candidates)
    raise CorpusError(
        f"{corpus.title}: no clip found, {plural(corpus.clips, 'clip')} expected, named like {corpus.example}. "
        f"Looked in {searched}; a folder of this corpus is named {corpus.name!r} or "
        f"{', '.join(map(repr, corpus.folders))}. The corpus comes from {corpus.homepage}."
    )


def folders_named(root: Path, names: Iterable[str]) -> list[Path]:
    """Folders below the root with one of these names, nearest first; case, spaces and punctuation do not matter."""
    wanted = [plain_name(name) for name in names]
    found = []
    for directory, subdirectories, _ in os.walk(root, followlinks=True):
        depth = len(Path(directory).relative_to(root).parts)
        subdirectories[:] = [name for name in subdirectories if not name.startswith(".")]
        named = [name for name in subdirectories if plain_name(name) in wanted]
        found += [(depth, wanted.index(plain_name(name)), Path(directory, name)) for name in named]
        if depth + 1 == SEARCH_DEPTH:
            subdirectories.clear()
    return [folder for _, _, folder in sorted(found)]


def plain_name(name: str) -> str:
    """ "CREMA-D" and "crema_d" -> "cremad"."""
    return re.sub(r"[\W_]", "", name).lower()


def read_folder(corpus: Corpus, folder: Path) -> list[Utterance]:
    """Utterances below a folder, each clip once."""
    if corpus.read is not None:
        return list(corpus.read(folder))
    first: dict[tuple[str, str], Utterance] = {}
    copies, others = [], []
    for path in audio_files(folder):
        utterance = corpus.parse(path)
        if utterance is None:
            others.append(path)
        elif first.setdefault((utterance.speaker, path.stem.lower()), utterance) is not utterance:
            copies.append(path)
    if copies and first:
        # The archive of RAVDESS that most people download holds every clip twice, in two trees.
        logger.warning(
            "%s: %s left out, the same clips again: %s", corpus.title, plural(len(copies), "file"), copies[0]
        )
    if others and first:
        logger.info("%s: %s left out by name: %s ...", corpus.title, plural(len(others), "file"), others[0])
    return list(first.values())


def without_empty_files(corpus: Corpus, utterances: list[Utterance]) -> list[Utterance]:
    """Utterances whose file is large enough to hold sound.

    Raises:
        CorpusError: none is.
    """
    sizes = {utterance: os.path.getsize(utterance.path) for utterance in utterances}
    empty = [utterance for utterance, size in sizes.items() if size < SMALLEST_CLIP]
    if not empty:
        return utterances
    message = (
        f"{corpus.title}: {len(empty):,} of {plural(len(utterances), 'file')} are smaller than {SMALLEST_CLIP} bytes "
        f"and hold no sound (an interrupted download, or pointers that `git lfs pull` replaces): {empty[0].path}"
    )
    if len(empty) == len(utterances):
        raise CorpusError(message)
    logger.warning(message)
    return [utterance for utterance, size in sizes.items() if size >= SMALLEST_CLIP]


def warn_of_gaps(corpus: Corpus, utterances: list[Utterance]) -> None:
    """Logs what is missing: "RAVDESS: found 1,380 of 1,440 clips; Actor_07 is missing"."""
    found = Counter(utterance.speaker for utterance in utterances)
    if corpus.clips is not None and len(utterances) != corpus.clips:
        missing = missing_speakers(corpus, found)
        logger.warning(
            "%s: found %s of %s; %s", corpus.title, f"{len(utterances):,}", plural(corpus.clips, "clip"), missing
        )
    if unknown := found[f"{corpus.name}-unknown"]:
        message = "%s: %s without a speaker count as one speaker; no split can keep their speakers apart"
        logger.warning(message, corpus.title, plural(unknown, "clip"))


def missing_speakers(corpus: Corpus, found: Container[str]) -> str:
    """ "Actor_07 is missing"; of many speakers the first ones and their number."""
    names = [corpus.speaker_title.format(name.partition("-")[2]) for name in corpus.speakers if name not in found]
    if not names:
        return "every speaker is there"
    shown = ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
    return f"{shown} {'is' if len(names) == 1 else 'are'} missing"


def warn_of_duplicates(corpus: Corpus, utterances: list[Utterance]) -> None:
    """Logs clips that are the same bytes under two names, as one of RAVDESS' actor 07 is."""
    for group in identical_files([utterance.path for utterance in utterances]):
        logger.warning("%s: byte-identical clips, all kept: %s", corpus.title, ", ".join(group))


def build_dataset(
    utterances: Sequence[Utterance], labels: Sequence[str], label_map: Mapping[str, str | None]
) -> Dataset:
    """Dataset of the utterances whose label, after the map, is among the labels."""
    labels = list(labels)
    check_labels(labels, label_map, {utterance.label for utterance in utterances})
    mapped = [replace(utterance, label=label_map.get(utterance.label, utterance.label)) for utterance in utterances]
    kept = [utterance for utterance in mapped if utterance.label in labels]
    log_left_out(utterances, mapped, labels)
    if not kept:
        found = dict(Counter(utterance.label for utterance in utterances).most_common())
        raise CorpusError(f"no clip has one of the labels {', '.join(labels)}. Found, before any map: {found}.")
    if without := [label for label in labels if not any(utterance.label == label for utterance in kept)]:
        logger.warning("no clip is labelled %s", " or ".join(without))
    rows = [asdict(utterance) for utterance in kept]
    features = Features({column: Value("string") for column in COLUMNS} | {"label": ClassLabel(names=labels)})
    return Dataset.from_dict({column: [row[column] for row in rows] for column in COLUMNS}, features=features)


def check_labels(labels: list[str], label_map: Mapping[str, str | None], found: set[str]) -> None:
    """Errors for labels that repeat or that nothing can have, and for a label map whose names are not labels."""
    if not labels or len(set(labels)) < len(labels):
        raise CorpusError(f"labels must be given, each once: got {labels}.")
    of_corpora = [label for corpus in CORPORA.values() for label in corpus.labels.values()]
    known = ordered_labels([*COMMON_LABELS, *of_corpora, *found])
    for label in labels:
        if label not in known and label not in label_map.values():
            raise CorpusError(unknown_name("label", label, known))
    for source, target in label_map.items():
        if source not in known:
            raise CorpusError(f"label map: {unknown_name('label', source, known)}")
        if target is not None and target not in labels:
            raise CorpusError(f"label map: {source!r} becomes {target!r}, which is not among {', '.join(labels)}.")


def label_counts(dataset: Dataset) -> dict[str, int]:
    """Number of clips of each label that occurs."""
    counts = Counter(dataset["label"][:])
    return {dataset.features["label"].int2str(label): count for label, count in counts.items()}


def check_classes(clips: Mapping[str, int]) -> None:
    """Raise CorpusError if all clips to train on, counted by label, have the same one: nothing is to be told apart."""
    if len(clips) == 1:
        ((label, count),) = clips.items()
        raise CorpusError(
            f"all {plural(count, 'clip')} to train on are labelled {label!r}: a training needs at least two labels. "
            "Add clips of another one, or look at --set labels and label_map."
        )


def log_left_out(utterances: Sequence[Utterance], mapped: Sequence[Utterance], labels: list[str]) -> None:
    """Logs, for each corpus, how many clips of which label are left out; a warning where no map asked for it."""
    left_out: dict[tuple[str, bool], Counter] = defaultdict(Counter)
    for before, after in zip(utterances, mapped, strict=True):
        if after.label not in labels:
            left_out[before.corpus, after.label is None][before.label] += 1
    for (corpus, asked), counts in left_out.items():
        logger.log(
            logging.INFO if asked else logging.WARNING,
            "%s: left out %s",
            CORPORA[corpus].title if corpus in CORPORA else corpus,
            ", ".join(f"{plural(count, 'clip')} labelled {label}" for label, count in sorted(counts.items())),
        )

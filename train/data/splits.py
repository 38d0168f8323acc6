"""The folds of evaluation: which speakers are tested on, which are held out for choices, and the shipped split.

Test speakers are never trained on and no choice is made on them: validation speakers are taken from the training ones.
"""

import logging
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from datasets import Dataset, DatasetDict

from train.data.base import CorpusError
from train.data.folds import Fold, Protocol, dealt_folds, leave_one_out
from train.data.registry import CORPORA, unknown_name


logger = logging.getLogger(__name__)

FRACTION = 0.2  # share held out, of speakers, of sentences or of clips
FEWEST_SPEAKERS = 3  # with fewer training speakers in a corpus none of them is spared for validation


def corpus_of(speaker: str) -> str:
    """Corpus of a speaker: "ravdess-08" -> "ravdess"."""
    return speaker.partition("-")[0]


def unit_of(speaker: str) -> str:
    """Name of the speakers that are held out together."""
    corpus = CORPORA.get(corpus_of(speaker))
    return corpus.unit(speaker) if corpus else speaker


def column(dataset: Dataset, name: str) -> list:
    """A column as a list, read in one piece: iterating over it decodes row by row, which takes ten times as long."""
    return dataset[name][:]


def sex_of(speaker: str) -> str:
    """Sex of a speaker of a registered corpus, or "unknown"."""
    corpus = CORPORA.get(corpus_of(speaker))
    return corpus.speakers.get(speaker, "unknown") if corpus else "unknown"


def pooled_folds(speakers: Sequence[str]) -> list[Fold]:
    """Five folds over several corpora: each corpus by a protocol of its own, by dealing where it has none."""
    tested = defaultdict(list)
    for corpus in sorted({corpus_of(speaker) for speaker in speakers}):
        own = [speaker for speaker in speakers if corpus_of(speaker) == corpus]
        protocol = CORPORA[corpus].protocol_among_others if corpus in CORPORA else None
        folds = protocol.folds(own) if protocol else dealt_folds({speaker: sex_of(speaker) for speaker in own})
        for number, fold in enumerate(folds, start=1):
            tested[f"fold{number}"] += fold.test_speakers
    return [Fold(name, tuple(tested[name])) for name in sorted(tested)]


GENERAL_PROTOCOLS: Mapping[str, Protocol] = {
    "speakers": Protocol("five speaker folds of every corpus", pooled_folds),
    "cross-corpus": Protocol("leave one corpus out", leave_one_out(corpus_of)),
    "random": Protocol("random split", lambda _: [Fold("random", (), speakers_seen=True)]),
}


def protocols() -> dict[str, Protocol]:
    """Every protocol by its name: those of the corpora, and those of any corpora."""
    own = [corpus.protocols for corpus in CORPORA.values()]
    return {name: protocol for table in (*own, GENERAL_PROTOCOLS) for name, protocol in table.items()}


def get_protocol(name: str) -> Protocol:
    """A protocol by its name.

    Raises:
        CorpusError: no protocol has this name; the message gives the nearest one and all of them.
    """
    if name not in protocols():
        raise CorpusError(unknown_name("protocol", name, protocols()))
    return protocols()[name]


def get_folds(protocol: str, speakers: Iterable[str]) -> list[Fold]:
    """Folds of a protocol over the speakers at hand.

    Speakers of other corpora than the protocol's are in no fold: they are always trained on.

    Args:
        protocol: its name; that of a corpus has the corpus' name.
        speakers: as in the column of a dataset; they may repeat.

    Raises:
        CorpusError: an unknown protocol, no speaker for it, or speakers that belong to none of its folds.
    """
    corpus = get_protocol(protocol).corpus
    present = sorted({speaker for speaker in speakers if corpus in (None, corpus_of(speaker))})
    if not present:
        raise CorpusError(f"protocol {protocol}: no speaker of {corpus or 'any corpus'} is there to test on.")
    folds = get_protocol(protocol).folds(present)
    if any(fold.speakers_seen for fold in folds):
        return folds
    strangers = set(present) - {speaker for fold in folds for speaker in fold.test_speakers}
    if strangers:
        raise CorpusError(f"protocol {protocol}: {', '.join(sorted(strangers))} belong to none of its folds.")
    return present_folds(protocol, folds, present)


def present_folds(protocol: str, folds: list[Fold], present: list[str]) -> list[Fold]:
    """Folds cut down to the speakers at hand; those that lose all are left out with a warning."""
    cut = [Fold(fold.name, tuple(s for s in fold.test_speakers if s in present)) for fold in folds]
    if empty := [fold.name for fold in cut if not fold.test_speakers]:
        logger.warning("protocol %s: no speaker of %s is there; left out", protocol, ", ".join(empty))
    return [fold for fold in cut if fold.test_speakers]


def split_fold(dataset: Dataset, fold: Fold, *, seed: int = 0, fraction: float = FRACTION) -> DatasetDict:
    """Splits a dataset into train, validation and test for one fold of a protocol.

    Args:
        dataset: with the columns of `load_corpora`.
        fold: of `get_folds`.
        seed: chooses the validation speakers.
        fraction: share of the training speakers that is held out for validation.

    Raises:
        CorpusError: no clip is left to train or to test on.
    """
    if fold.speakers_seen:
        return random_split(dataset, seed=seed, fraction=fraction)
    splits = split_speakers(dataset, fold.test_speakers, seed=seed, fraction=fraction)
    if not len(splits["test"]):
        raise CorpusError(f"{fold.name}: no clip of its test speakers {', '.join(fold.test_speakers)} is there.")
    return splits


def official_split(dataset: Dataset, *, seed: int = 0, fraction: float = FRACTION) -> DatasetDict:
    """Train, validation and test of the shipped checkpoint; the test speakers are those that their corpora name.

    A general corpus gives a share of its speakers, always the same ones, where it has enough of them. Arguments and
    errors are those of `split_fold`, but the test split may be empty: TESS alone has no test speaker.
    """
    speakers, test_speakers = set(column(dataset, "speaker")), []
    for corpus in sorted({corpus_of(speaker) for speaker in speakers}):
        present = {speaker for speaker in speakers if corpus_of(speaker) == corpus}
        official = CORPORA[corpus].test_speakers if corpus in CORPORA else None
        held_out = validation_speakers(dataset, present) if official is None else present & set(official)
        if not held_out:
            level = logging.INFO if official == () else logging.WARNING
            logger.log(level, "%s: no test speaker is there, so the test split has none of its clips", corpus)
        test_speakers += sorted(held_out)
    return split_speakers(dataset, test_speakers, seed=seed, fraction=fraction)


def split_speakers(dataset: Dataset, test_speakers: Iterable[str], *, seed: int, fraction: float) -> DatasetDict:
    """Splits by test speakers; the validation clips come out of the others, rows stay in order."""
    tested = set(test_speakers)
    training_speakers = sorted(set(column(dataset, "speaker")) - tested)
    validation = validation_rows(dataset, training_speakers, seed=seed, fraction=fraction)
    test = {row for row, speaker in enumerate(column(dataset, "speaker")) if speaker in tested}
    train = set(range(len(dataset))) - test - validation
    rows = {"train": train, "validation": validation, "test": test}
    splits = DatasetDict({name: dataset.select(sorted(part)) for name, part in rows.items()})
    check_disjoint(splits)
    return splits


def validation_rows(dataset: Dataset, training_speakers: Sequence[str], *, seed: int, fraction: float) -> set[int]:
    """Rows held out for choices: those of `validation_speakers`; of a corpus that can spare no speaker, a share of
    what is said. Of TESS these are 40 of the 200 words: the voices are then heard in training, the words are not.
    """
    chosen = set(validation_speakers(dataset, training_speakers, fraction=fraction, seed=seed))
    by_words = {corpus_of(speaker) for speaker in training_speakers} - {corpus_of(speaker) for speaker in chosen}
    rows, said = set(), defaultdict(dict)
    for row, (speaker, sentence) in enumerate(
        zip(column(dataset, "speaker"), column(dataset, "sentence"), strict=True)
    ):
        if speaker in chosen:
            rows.add(row)
        elif corpus_of(speaker) in by_words and speaker in training_speakers:
            said[corpus_of(speaker)][row] = sentence
    return rows.union(*(sentence_rows(said[corpus], fraction, f"{seed} {corpus}") for corpus in sorted(said)))


def sentence_rows(said: Mapping[int, str], fraction: float, seed: str) -> set[int]:
    """Rows of a share of the sentences, or a share of the rows where the corpus does not tell several sentences apart.

    Args:
        said: row -> sentence.
        fraction: share held out.
        seed: chooses.
    """
    if len(set(said.values())) < 2:
        said = {row: row for row in said}
    sentences = sorted(set(said.values()))
    held_out = set(random.Random(seed).sample(sentences, max(1, round(fraction * len(sentences)))))
    return {row for row, sentence in said.items() if sentence in held_out}


def validation_speakers(
    dataset: Dataset, training_speakers: Iterable[str], *, fraction: float = FRACTION, seed: int = 0
) -> tuple[str, ...]:
    """Speakers to take out of the training speakers for choices such as the number of epochs.

    Of every corpus the given share, at least one, the sexes in turn: of RAVDESS' 19 or 20 training actors two women
    and two men. Of a corpus with fewer than three training speakers none (see `validation_rows`); of IEMOCAP whole
    sessions.

    Args:
        dataset: with the columns speaker and sex.
        training_speakers: those to choose from.
        fraction: share of them, above 0 and below 1.
        seed: chooses among them; the same seed always gives the same speakers.

    Returns:
        Names, sorted.
    """
    if not 0 < fraction < 1:
        raise CorpusError(f"the share held out must lie between 0 and 1, got {fraction}.")
    sexes = dict(zip(column(dataset, "speaker"), column(dataset, "sex"), strict=True))
    units: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for speaker in sorted(set(training_speakers) & set(sexes)):
        units[corpus_of(speaker)][unit_of(speaker)].append(speaker)
    chosen = []
    for corpus, groups in units.items():
        if len(groups) >= FEWEST_SPEAKERS:
            count = max(1, round(fraction * len(groups)))
            by_sex = {unit: "".join(sexes[speaker] for speaker in group) for unit, group in groups.items()}
            chosen += [speaker for unit in take_turns(by_sex, count, f"{seed} {corpus}") for speaker in groups[unit]]
    return tuple(sorted(chosen))


def take_turns(sexes: Mapping[str, str], count: int, seed: str) -> list[str]:
    """Draws names, one of each sex in turn until there are enough."""
    generator = random.Random(seed)
    queues = [sorted(name for name in sexes if sexes[name] == sex) for sex in sorted(set(sexes.values()))]
    for queue in queues:
        generator.shuffle(queue)
    longest = max(len(queue) for queue in queues)
    turns = [queue[turn] for turn in range(longest) for queue in queues if turn < len(queue)]
    return turns[:count]


def random_split(dataset: Dataset, *, seed: int = 0, fraction: float = FRACTION) -> DatasetDict:
    """Random split with the same share of every label: a fifth tested on, and the given share of the rest held out.

    Its figures belong under "speakers seen in training": they say little about a new voice.

    Raises:
        CorpusError: a label has too few clips to be in every part.
    """
    try:
        outer = dataset.train_test_split(test_size=FRACTION, stratify_by_column="label", seed=seed)
        inner = outer["train"].train_test_split(test_size=fraction, stratify_by_column="label", seed=seed)
    except ValueError as error:
        counts = Counter(map(dataset.features["label"].int2str, column(dataset, "label")))
        raise CorpusError(f"too few clips for a random split with every label: {dict(counts)}. {error}") from error
    return DatasetDict(train=inner["train"], validation=inner["test"], test=outer["test"])


def check_disjoint(splits: DatasetDict) -> None:
    """Makes sure that no test speaker is heard before, no clip is in two splits, and some are left to train on.

    Raises:
        CorpusError: otherwise.
    """
    speakers = {name: set(column(split, "speaker")) for name, split in splits.items()}
    if shared := speakers["test"] & (speakers["train"] | speakers["validation"]):
        raise CorpusError(f"test speakers are in training or validation: {', '.join(sorted(shared))}.")
    clips = Counter(path for split in splits.values() for path in set(column(split, "path")))
    if repeated := [path for path, count in clips.items() if count > 1]:
        raise CorpusError(f"clips are in more than one split: {', '.join(sorted(repeated))}.")
    if not len(splits["train"]):
        raise CorpusError("no clip is left to train on; hold out fewer speakers.")

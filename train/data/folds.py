"""The folds of a corpus, from which its module makes its protocols."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field


FOLDS = 5


@dataclass(frozen=True)
class Fold:
    """One round of a protocol.

    Attributes:
        name: unique within its protocol.
        test_speakers: the speakers that are tested on and never trained on.
        speakers_seen: whether this is the random split, in which test speakers are trained on as well.
    """

    name: str
    test_speakers: tuple[str, ...]
    speakers_seen: bool = False


@dataclass(frozen=True)
class Protocol:
    """Protocol of a test: its folds, corpus and labels.

    Attributes:
        title: what a table of results calls it.
        folds: from the speakers at hand to the folds.
        corpus: the corpus whose speakers are tested on, or None for all.
        labels: the labels of this task, or None for all of the corpus.
        label_map: the map that goes with them.
    """

    title: str
    folds: Callable[[Sequence[str]], list[Fold]]
    corpus: str | None = None
    labels: tuple[str, ...] | None = None
    label_map: Mapping[str, str] = field(default_factory=dict)


def numbered_folds(corpus: str, groups: Iterable[Iterable[int]]) -> list[Fold]:
    """Folds of a corpus from the numbers of their speakers."""
    return named_folds([f"{corpus}-{speaker:02d}" for speaker in group] for group in groups)


def named_folds(groups: Iterable[Iterable[str]]) -> list[Fold]:
    """Folds of the names of their speakers."""
    return [Fold(f"fold{number}", tuple(group)) for number, group in enumerate(groups, start=1)]


def leave_one_out(key: Callable[[str], str]) -> Callable[[Sequence[str]], list[Fold]]:
    """Folds that each test on all speakers with one value of the key."""

    def folds(speakers: Sequence[str]) -> list[Fold]:
        groups = defaultdict(list)
        for speaker in sorted(speakers):
            groups[key(speaker)].append(speaker)
        return [Fold(name, tuple(group)) for name, group in groups.items()]

    return folds


def dealt_folds(sexes: Mapping[str, str]) -> list[Fold]:
    """Five folds to which the speakers are dealt like cards, women first, so that sexes and sizes are balanced.

    Args:
        sexes: of each speaker.
    """
    ordered = sorted(sexes, key=lambda speaker: (sexes[speaker], speaker))
    return [Fold(f"fold{number + 1}", tuple(ordered[number::FOLDS])) for number in range(FOLDS)]

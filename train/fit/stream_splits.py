"""Tables with audio, split without holding them: a stream to train on, and small tables of clips that are tested on.

One look at the columns beside the sound tells who speaks how often. Held-out clips, at most a few thousand, are
written to files, so that everything that tests takes them as any other clips.
"""

import logging
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pandas as pd
from datasets import Dataset, IterableDataset, concatenate_datasets
from datasets.fingerprint import Hasher
from tqdm.auto import tqdm

from train.augment.waveform_augmentation import WaveformAugmentation
from train.data.audio_tables import OpenTable, open_table, parse_address
from train.data.base import CorpusError, plural
from train.data.dataset import analysis_only
from train.data.loading import build_dataset, check_classes, check_labels
from train.data.network import as_corpus_errors
from train.data.registry import check_own_name
from train.data.splits import FRACTION, validation_speakers
from train.data.stored_clips import CACHE, ClipStore
from train.data.streaming import SHUFFLE_BUFFER, Analyser, Stream
from train.data.tables import read
from train.fit.loss import BALANCE_POWER
from train.fit.recipe import Recipe


logger = logging.getLogger(__name__)

HELD_OUT_CLIPS = 2000  # at most, of each part that is not trained on
SURVEYED_AT_ONCE = 1000  # rows
HELD_OUT = ("validation", "test")


@dataclass(frozen=True)
class Survey:
    """Who speaks how often in which emotion.

    Attributes:
        clips: (corpus, label, speaker) -> clips; labels are those of the model.
        sexes: speaker -> sex.
    """

    clips: Mapping[tuple[str, str, str], int]
    sexes: Mapping[str, str]

    @property
    def clips_by_label(self) -> Counter[str]:
        """Number of clips of each label."""
        counts: Counter[str] = Counter()
        for (_, label, _), count in self.clips.items():
            counts[label] += count
        return counts

    def without(self, speakers: frozenset[str]) -> "Survey":
        """The survey of all other speakers."""
        clips = {group: count for group, count in self.clips.items() if group[2] not in speakers}
        return Survey(clips, {speaker: sex for speaker, sex in self.sexes.items() if speaker not in speakers})


@dataclass(frozen=True)
class Splitter:
    """Tells to which part a row belongs: by its speaker, or by chance where speakers may be heard in training.

    What is by chance follows from the bytes of a clip, so that it is the same in every process and order, and equal
    clips stay together.

    Attributes:
        held_out: speaker -> "validation" or "test"; None for a random split.
        fraction: share of the remaining clips of a random split that are for validation.
        seed: of the random split.
    """

    held_out: Mapping[str, str] | None
    fraction: float
    seed: int

    def __call__(self, row: Mapping[str, Any]) -> str:
        if self.held_out is not None:
            return self.held_out.get(row["speaker"], "train")
        share = zlib.crc32(row["audio"], self.seed % 2**32) / 2**32
        if share < FRACTION:
            return "test"
        return "validation" if share < FRACTION + self.fraction * (1 - FRACTION) else "train"


def streaming_splits(recipe: Recipe, corpora_root: Path, seed: int) -> dict[str, Stream | Dataset]:
    """
    The recipe's tables as a stream to train on, and tables of clips in files to choose with and to test on.

    Args:
        recipe: its corpora are `hub:OWNER/NAME` or `parquet:PATH`.
        corpora_root: where a relative path is looked for.
        seed: of the order, of the validation speakers and of a random split.

    Raises:
        CorpusError: another corpus, what [`open_table`] raises, no speakers to hold out, no clip of a label, or all
            of one label.
    """
    tables = [open_named(name, corpora_root) for name in recipe.corpora]
    names = ", ".join(recipe.corpora)
    if len({table.address.corpus for table in tables}) < len(tables):
        raise CorpusError(f"{names}: two tables have the same name; rename the folder of one of them.")
    with as_corpus_errors("streaming", names):
        survey = survey_of(tables, recipe)
        splitter = Splitter(speakers_held_out(survey, recipe, seed, names), recipe.validation_fraction, seed)
        trained = survey.without(frozenset(splitter.held_out or ()))
        check_classes(trained.clips_by_label)
        labels = {"labels": recipe.labels, "label_map": recipe.label_map}
        rows = concatenate_datasets([table.rows() for table in tables]).filter(has_label, fn_kwargs=labels)
        held_out = stored(tables, rows, splitter, recipe)
    stream = Stream(
        rows.filter(belongs_to, fn_kwargs={"splitter": splitter, "part": "train"}),
        analyser(recipe, trained, seed),
        seed,
        frozenset(trained.sexes),
    )
    logger.info("%s: about %s to train on, streamed", names, plural(sum(trained.clips.values()), "clip"))
    return {"train": stream} | held_out


def open_named(name: str, corpora_root: Path) -> OpenTable:
    """The table of a name that can be streamed."""
    address = parse_address(name, corpora_root)
    if address is None:
        raise CorpusError(
            f"{name!r} cannot be streamed: only hub:OWNER/NAME and parquet:PATH can. Set streaming to false."
        )
    check_own_name(name, address.corpus)
    return open_table(address)


def survey_of(tables: Sequence[OpenTable], recipe: Recipe) -> Survey:
    """Count the clips of the model's labels; the sound is not read.

    Raises:
        CorpusError: no clip has one of the labels, or labels or label map that do not fit.
    """
    clips: Counter[tuple[str, str, str]] = Counter()
    sexes: dict[str, str] = {}
    found: Counter[str] = Counter()
    with tqdm(desc="Counting clips", unit=" clips") as progress:
        for table in tables:
            for batch in table.rows_without_sound().iter(SURVEYED_AT_ONCE):
                progress.update(len(batch["label"]))
                found.update(batch["label"])
                rows = zip(batch["label"], batch["speaker"], batch["sex"], strict=True)
                for label, speaker, sex in rows:
                    mapped = recipe.label_map.get(label, label)
                    if mapped in recipe.labels:
                        clips[table.address.corpus, mapped, speaker] += 1
                        sexes[speaker] = sex
    check_labels(recipe.labels, recipe.label_map, set(found))
    if not clips:
        raise CorpusError(f"no clip has one of the labels {', '.join(recipe.labels)}. Found: {dict(found)}.")
    return Survey(clips, sexes)


def speakers_held_out(survey: Survey, recipe: Recipe, seed: int, names: str) -> dict[str, str] | None:
    """Speaker -> part that is not trained on, as for any general corpus; None if the split is random.

    Raises:
        CorpusError: too few speakers, or nobody knows who they are.
    """
    if recipe.split == "random":
        return None
    table = Dataset.from_dict({"speaker": list(survey.sexes), "sex": list(survey.sexes.values())})
    test = validation_speakers(table, survey.sexes)
    others = set(survey.sexes) - set(test)
    validation = validation_speakers(table, others, fraction=recipe.validation_fraction, seed=seed)
    if not test or not validation:
        raise CorpusError(
            f"{names}: {plural(len(survey.sexes), 'speaker')} known, too few to test on others than are trained on. "
            f"With --set split=random the clips are split by chance; the results then count as speakers seen in "
            f"training."
        )
    return dict.fromkeys(test, "test") | dict.fromkeys(validation, "validation")


def stored(
    tables: Sequence[OpenTable], rows: IterableDataset, splitter: Splitter, recipe: Recipe
) -> dict[str, Dataset]:
    """At most `HELD_OUT_CLIPS` clips of each part that is not trained on, as files in the cache, where they stay."""
    version = [[table.fingerprint for table in tables], splitter, recipe.labels, recipe.label_map, HELD_OUT_CLIPS]
    folder = Path(datasets.config.HF_DATASETS_CACHE, CACHE, "held_out", Hasher.hash(version))
    names = [table.address.corpus for table in tables]
    stores = {(part, name): ClipStore(folder / part, name) for part in HELD_OUT for name in names}
    if not all(store.is_finished for store in stores.values()):
        store_held_out(rows, splitter, stores)
    utterances = {part: [one for name in names for one in read(stores[part, name].list, name)] for part in HELD_OUT}
    return {part: build_dataset(utterances[part], recipe.labels, recipe.label_map) for part in HELD_OUT}


def store_held_out(rows: IterableDataset, splitter: Splitter, stores: Mapping[tuple[str, str], ClipStore]) -> None:
    """Write clips of the parts that are not trained on, drawn from all tables, until each part has enough."""
    missing = dict.fromkeys(HELD_OUT, HELD_OUT_CLIPS)
    shuffled = rows.shuffle(seed=0, buffer_size=SHUFFLE_BUFFER)
    with tqdm(desc="Fetching clips to test on", unit=" clips") as progress:
        for row in shuffled:
            part = splitter(row)
            if missing.get(part):
                stores[part, row["corpus"]].add(row)
                missing[part] -= 1
                progress.update()
            if not any(missing.values()):
                break
    for store in stores.values():
        store.finish()


def has_label(row: Mapping[str, Any], labels: Sequence[str], label_map: Mapping[str, str | None]) -> bool:
    """True if a row's label is one of the model's, after the map."""
    return label_map.get(row["label"], row["label"]) in labels


def belongs_to(row: Mapping[str, Any], splitter: Splitter, part: str) -> bool:
    """True if a row is in a part."""
    return splitter(row) == part


def analyser(recipe: Recipe, trained: Survey, seed: int) -> Analyser:
    """Analyser that makes training rows of the recipe, with what its loss needs of a survey of the training clips."""
    return Analyser(
        analysis_only(recipe.feature_extractor()),
        recipe.labels,
        recipe.label_map,
        WaveformAugmentation(**recipe.waveform_augmentation),
        seed,
        group_weights(trained, recipe.balance) if recipe.balance else None,
        labels_of_corpora(trained, recipe.labels) if recipe.mask_labels else None,
    )


def group_weights(survey: Survey, properties: Sequence[str]) -> dict[tuple[str, str, str], np.float32]:
    """(corpus, label, speaker) -> weight in the loss, of mean 1 over the clips: larger where its group is rare."""
    table = pd.DataFrame(survey.clips.keys(), columns=["corpus", "label", "speaker"])
    table["clips"] = survey.clips.values()
    weights = table.groupby(list(properties))["clips"].transform("sum") ** -BALANCE_POWER
    weights /= (weights * table["clips"]).sum() / table["clips"].sum()
    return dict(zip(survey.clips, weights.astype(np.float32), strict=True))


def labels_of_corpora(survey: Survey, labels: Sequence[str]) -> dict[str, np.ndarray]:
    """Corpus -> which labels occur in it, boolean (labels,)."""
    occurring = {(corpus, label) for corpus, label, _ in survey.clips}
    corpora = {corpus for corpus, _ in occurring}
    return {corpus: np.array([(corpus, label) in occurring for label in labels]) for corpus in corpora}

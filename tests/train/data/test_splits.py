"""Splits: the folds of evaluation as they are published, validation speakers, and that no speaker is on both sides."""

import itertools
import logging
from collections import Counter

import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value, concatenate_datasets

from tests.train.generated_corpora import make_corpus
from train.data import (
    COMMON_LABELS,
    CORPORA,
    CorpusError,
    Fold,
    get_folds,
    load_corpora,
    load_corpus,
    official_split,
    protocols,
    random_split,
    split_fold,
    validation_speakers,
)
from train.data.splits import check_disjoint


def rows_of(name: str, clips: int = 4) -> Dataset:
    """Rows of all speakers of a corpus, without files: for every speaker clips of as many sentences."""
    features = Features(
        {column: Value("string") for column in ("path", "speaker", "sex", "corpus", "sentence")}
        | {"label": ClassLabel(names=list(COMMON_LABELS))}
    )
    rows = [
        {
            "path": f"/{speaker}/{clip}.wav",
            "speaker": speaker,
            "sex": sex,
            "corpus": name,
            "sentence": str(clip),
            "label": clip % 2,
        }
        for speaker, sex in CORPORA[name].speakers.items()
        for clip in range(clips)
    ]
    return Dataset.from_list(rows, features=features)


def numbers(fold: Fold) -> tuple[int, ...]:
    return tuple(int(speaker.partition("-")[2]) for speaker in fold.test_speakers)


def count_sexes(speakers) -> Counter:
    return Counter(CORPORA[speaker.partition("-")[0]].speakers[speaker] for speaker in speakers)


# --- the folds ---


def test_folds_of_ravdess():
    assert [numbers(fold) for fold in get_folds("ravdess", CORPORA["ravdess"].speakers)] == [
        (2, 5, 14, 15, 16),
        (3, 6, 7, 13, 18),
        (10, 11, 12, 19, 20),
        (8, 17, 21, 23, 24),
        (1, 4, 9, 22),
    ]


def test_folds_of_emodb():
    pairs = [(3, 8), (9, 10), (11, 13), (12, 14), (15, 16)]
    assert [numbers(fold) for fold in get_folds("emodb-pairs", CORPORA["emodb"].speakers)] == pairs
    single = [numbers(fold) for fold in get_folds("emodb", CORPORA["emodb"].speakers)]
    assert single == [(number,) for number in (3, 8, 9, 10, 11, 12, 13, 14, 15, 16)]


def test_folds_of_tess_savee_and_iemocap():
    def tested(name: str) -> list[tuple[str, ...]]:
        return [fold.test_speakers for fold in get_folds(name, CORPORA[name].speakers)]

    assert tested("tess") == [("tess-OAF",), ("tess-YAF",)]
    assert tested("savee") == [("savee-DC",), ("savee-JE",), ("savee-JK",), ("savee-KL",)]
    assert tested("iemocap") == [(f"iemocap-Ses0{n}F", f"iemocap-Ses0{n}M") for n in range(1, 6)]


def test_folds_of_ased_have_13_speakers_with_balanced_sexes():
    folds = get_folds("ased", CORPORA["ased"].speakers)
    assert [len(fold.test_speakers) for fold in folds] == [13] * 5
    assert numbers(folds[4]) == tuple(range(53, 66))
    assert [count_sexes(fold.test_speakers)["female"] for fold in folds] == [6, 6, 6, 5, 2]


def test_folds_of_crema_d_are_balanced():
    folds = get_folds("crema_d", CORPORA["crema_d"].speakers)
    assert sorted(len(fold.test_speakers) for fold in folds) == [18, 18, 18, 18, 19]
    assert sorted(count_sexes(fold.test_speakers)["female"] for fold in folds) == [8, 8, 9, 9, 9]


@pytest.mark.parametrize(("protocol", "corpus"), [(key, value.corpus) for key, value in protocols().items()])
def test_every_speaker_is_tested_once(protocol, corpus):
    speakers = [s for name in ([corpus] if corpus else CORPORA) for s in CORPORA[name].speakers]
    folds = get_folds(protocol, speakers)
    assert len({fold.name for fold in folds}) == len(folds)
    if protocol == "random":
        assert folds == [Fold("random", (), speakers_seen=True)]
    else:
        assert sorted(itertools.chain(*(fold.test_speakers for fold in folds))) == sorted(speakers)
    assert folds == get_folds(protocol, list(reversed(speakers)) * 2)


def test_cross_corpus_leaves_one_corpus_out():
    speakers = [*CORPORA["tess"].speakers, *CORPORA["savee"].speakers, "my_clips-anna"]
    folds = {fold.name: fold.test_speakers for fold in get_folds("cross-corpus", speakers)}
    assert folds == {
        "my_clips": ("my_clips-anna",),
        "savee": tuple(CORPORA["savee"].speakers),
        "tess": tuple(CORPORA["tess"].speakers),
    }


def test_pooled_folds_are_those_of_each_corpus():
    speakers = [s for name in ("ravdess", "emodb", "tess") for s in CORPORA[name].speakers]
    pooled = get_folds("speakers", [*speakers, *(f"my_clips-{number}" for number in range(10))])
    for number, fold in enumerate(pooled):
        assert set(get_folds("ravdess", speakers)[number].test_speakers) < set(fold.test_speakers)
        assert set(get_folds("emodb-pairs", speakers)[number].test_speakers) < set(fold.test_speakers)
        assert sum(speaker.startswith("my_clips") for speaker in fold.test_speakers) == 2
        assert sum(speaker.startswith("tess") for speaker in fold.test_speakers) == (number < 2)


def test_speakers_of_other_corpora_are_never_tested():
    speakers = [*CORPORA["ravdess"].speakers, *CORPORA["tess"].speakers]
    assert get_folds("ravdess", speakers) == get_folds("ravdess", CORPORA["ravdess"].speakers)


def test_folds_without_speakers_are_left_out(caplog):
    folds = get_folds("ravdess", ["ravdess-02", "ravdess-08", "ravdess-14"])
    assert [numbers(fold) for fold in folds] == [(2, 14), (8,)]
    assert "no speaker of fold2, fold3, fold5 is there" in caplog.text


def test_iemocap_has_the_four_labels_of_its_usual_task():
    assert protocols()["iemocap"].labels == ("angry", "happy", "neutral", "sad")
    assert protocols()["iemocap"].label_map == {"excited": "happy"}


@pytest.mark.parametrize(
    ("protocol", "speakers", "message"),
    [
        ("ravdes", ["ravdess-01"], "unknown protocol 'ravdes'. Did you mean 'ravdess'"),
        ("ravdess", ["tess-OAF"], "no speaker of ravdess"),
        ("ravdess", ["ravdess-01", "ravdess-25"], "ravdess-25 belong to none"),
        ("random", [], "no speaker of any corpus"),
    ],
)
def test_folds_that_cannot_be_had(protocol, speakers, message):
    with pytest.raises(CorpusError, match=message):
        get_folds(protocol, speakers)


# --- validation speakers ---


def test_validation_actors_of_ravdess_are_two_of_each_sex_in_every_fold():
    dataset = rows_of("ravdess")
    for fold in get_folds("ravdess", dataset["speaker"]):
        for seed in range(3):
            splits = split_fold(dataset, fold, seed=seed)
            assert count_sexes(set(splits["validation"]["speaker"])) == {"female": 2, "male": 2}
            assert set(splits["test"]["speaker"]) == set(fold.test_speakers)
            assert sum(map(len, splits.values())) == len(dataset)
            assert not set(splits["train"]["speaker"]) & set(splits["validation"]["speaker"])


def test_validation_speakers_depend_on_the_seed_alone():
    dataset = rows_of("crema_d", clips=1)
    speakers = list(CORPORA["crema_d"].speakers)
    first = validation_speakers(dataset, speakers, seed=1)
    assert first == validation_speakers(dataset.shuffle(seed=3), reversed(speakers), seed=1)
    assert first != validation_speakers(dataset, speakers, seed=2)
    assert len(first) == 18
    assert count_sexes(first) == {"female": 9, "male": 9}
    assert len(validation_speakers(dataset, speakers, fraction=0.5)) == 46


def test_validation_speakers_of_a_corpus_do_not_depend_on_the_others():
    both = concatenate_datasets([rows_of("ravdess"), rows_of("emodb")])
    alone = validation_speakers(rows_of("ravdess"), CORPORA["ravdess"].speakers)
    together = validation_speakers(both, [*CORPORA["emodb"].speakers, *CORPORA["ravdess"].speakers])
    assert [speaker for speaker in together if speaker.startswith("ravdess")] == list(alone)
    assert count_sexes(set(together) - set(alone)) == {"female": 1, "male": 1}


def test_validation_of_iemocap_is_a_whole_session():
    dataset = rows_of("iemocap")
    for fold in get_folds("iemocap", dataset["speaker"]):
        held_out = sorted(set(split_fold(dataset, fold)["validation"]["speaker"]))
        assert len(held_out) == 2
        assert held_out[0][:-1] == held_out[1][:-1]


def test_validation_of_tess_holds_out_words_of_both_voices():
    dataset = rows_of("tess", clips=200)
    assert validation_speakers(dataset, CORPORA["tess"].speakers) == ()
    splits = official_split(dataset)
    words = {name: set(split["sentence"]) for name, split in splits.items()}
    assert len(words["validation"]) == 40
    assert len(words["train"]) == 160
    assert not words["train"] & words["validation"]
    assert set(splits["validation"]["speaker"]) == set(splits["train"]["speaker"]) == {"tess-OAF", "tess-YAF"}
    (fold, _) = get_folds("tess", dataset["speaker"])
    splits = split_fold(dataset, fold)
    assert [len(splits[name]) for name in ("train", "validation", "test")] == [160, 40, 200]


def test_speaker_without_sentences_gives_a_share_of_clips():
    dataset = rows_of("tess", clips=100)
    silent = dataset.remove_columns("sentence").add_column("sentence", [""] * len(dataset))
    splits = split_fold(silent, Fold("OAF", ("tess-OAF",)))
    assert [len(splits[name]) for name in ("train", "validation", "test")] == [80, 20, 100]


@pytest.mark.parametrize("fraction", [0, 1, -0.1])
def test_share_must_be_a_share(fraction):
    with pytest.raises(CorpusError, match="between 0 and 1"):
        validation_speakers(rows_of("savee"), CORPORA["savee"].speakers, fraction=fraction)


# --- the shipped split ---


def test_official_test_speakers():
    assert CORPORA["ravdess"].test_speakers == tuple(f"ravdess-{actor:02d}" for actor in (8, 17, 21, 23, 24))
    assert CORPORA["emodb"].test_speakers == ("emodb-15", "emodb-16")
    assert CORPORA["ased"].test_speakers == tuple(f"ased-{number}" for number in range(53, 66))
    assert all(set(corpus.test_speakers) < set(corpus.speakers) for corpus in CORPORA.values())


def test_validation_actors_of_the_shipped_split_stay_the_same():
    training = set(CORPORA["ravdess"].speakers) - set(CORPORA["ravdess"].test_speakers)
    chosen = validation_speakers(rows_of("ravdess"), training)
    assert chosen == ("ravdess-07", "ravdess-12", "ravdess-15", "ravdess-16")


def test_official_split_of_all_corpora():
    dataset = concatenate_datasets([rows_of(name) for name in CORPORA])
    splits = official_split(dataset)
    expected = set(itertools.chain(*(corpus.test_speakers for corpus in CORPORA.values())))
    assert set(splits["test"]["speaker"]) == expected
    assert not set(splits["validation"]["speaker"]) & expected
    assert set(splits["validation"]["corpus"]) == set(splits["train"]["corpus"]) == set(CORPORA)
    assert official_split(dataset)["train"]["path"][:] == splits["train"]["path"][:]


def test_official_split_of_a_general_corpus(caplog):
    caplog.set_level(logging.INFO)
    dataset = rows_of("ravdess")
    speakers = [speaker.replace("ravdess", "my_clips") for speaker in dataset["speaker"]]
    mine = dataset.remove_columns("speaker").add_column("speaker", speakers)
    splits = official_split(mine)
    assert len(set(splits["test"]["speaker"])) == 5
    assert set(official_split(mine, seed=5)["test"]["speaker"]) == set(splits["test"]["speaker"])
    one = mine.filter(lambda row: row["speaker"] == "my_clips-01")
    with_one = official_split(one)
    assert [len(with_one[name]) for name in ("train", "validation", "test")] == [3, 1, 0]
    assert "my_clips: no test speaker is there" in caplog.text


# --- speakers seen ---


def test_random_split_has_a_fifth_of_each_label():
    dataset = rows_of("savee", clips=100)
    splits = random_split(dataset, seed=3)
    assert [len(splits[name]) for name in ("train", "validation", "test")] == [256, 64, 80]
    assert Counter(splits["test"]["label"]) == {0: 40, 1: 40}
    assert not set(splits["test"]["path"]) & (set(splits["train"]["path"]) | set(splits["validation"]["path"]))
    assert random_split(dataset, seed=3)["test"]["path"][:] == splits["test"]["path"][:]
    assert random_split(dataset, seed=4)["test"]["path"][:] != splits["test"]["path"][:]
    (fold,) = get_folds("random", dataset["speaker"])
    assert split_fold(dataset, fold, seed=3)["test"]["path"][:] == splits["test"]["path"][:]
    assert len(split_fold(dataset, fold, seed=3, fraction=0.5)["validation"]) == 160


def test_random_split_needs_clips_of_every_label():
    with pytest.raises(CorpusError, match=r"too few clips for a random split.*'angry': 2"):
        random_split(rows_of("tess", clips=2).select([0, 1, 2]))


# --- what must never happen ---


def test_test_speaker_in_training_is_an_error():
    dataset = rows_of("savee")
    splits = split_fold(dataset, get_folds("savee", dataset["speaker"])[0])
    for place in ("train", "validation"):
        leak = concatenate_datasets([splits[place], rows_of("savee", clips=6).select([5])])
        with pytest.raises(CorpusError, match="test speakers are in training or validation: savee-DC"):
            check_disjoint(DatasetDict({**splits, place: leak}))


def test_clip_in_two_splits_is_an_error():
    splits = official_split(rows_of("tess"))
    both = concatenate_datasets([splits["train"], splits["validation"]])
    with pytest.raises(CorpusError, match="more than one split"):
        check_disjoint(DatasetDict({**splits, "train": both}))


def test_nothing_to_train_or_to_test_on_is_an_error():
    dataset = rows_of("savee")
    with pytest.raises(CorpusError, match="no clip is left to train on"):
        split_fold(dataset, Fold("all", tuple(CORPORA["savee"].speakers)))
    with pytest.raises(CorpusError, match="no clip of its test speakers savee-XX"):
        split_fold(dataset, Fold("none", ("savee-XX",)))


# --- on loaded corpora ---


def test_split_of_generated_corpora(tmp_path):
    for name in ("ravdess", "tess", "ased"):
        make_corpus(name, tmp_path, speakers=8, clips_per_label=2, duration_s=0.05)
    labels = [label for label in COMMON_LABELS if label != "calm"]
    dataset = load_corpora(["ravdess", "tess", "ased"], tmp_path, labels=labels, label_map={"calm": "neutral"})
    splits = official_split(dataset)
    assert sum(map(len, splits.values())) == len(dataset)
    assert set(splits["test"]["corpus"]) == {"ravdess", "ased"}
    assert splits["train"].column_names == dataset.column_names


def test_real_folds_of_ased_hold_as_many_clips(corpora_root):
    dataset = load_corpus("ased", corpora_root)
    clips = Counter(dataset["speaker"])
    sizes = [sum(clips[speaker] for speaker in fold.test_speakers) for fold in get_folds("ased", clips)]
    assert sizes == [452, 452, 454, 466, 650]


def test_real_official_split(corpora_root):
    labels = [label for label in COMMON_LABELS if label != "calm"]
    label_map = {"calm": "neutral", "boredom": None}
    dataset = load_corpora(["ravdess", "tess", "ased"], corpora_root, labels=labels, label_map=label_map)
    splits = official_split(dataset)
    counts = {name: Counter(split["corpus"]) for name, split in splits.items()}
    assert counts["test"] == {"ravdess": 300, "ased": 650}
    assert (counts["validation"]["ravdess"], counts["validation"]["tess"]) == (240, 560)
    assert counts["train"] + counts["validation"] + counts["test"] == {"ravdess": 1440, "tess": 2800, "ased": 2474}

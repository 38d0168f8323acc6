"""Evaluation: metric modules against scikit-learn and by hand, figures of tables, predictions of a network."""

import json
from pathlib import Path

import evaluate
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score, brier_score_loss, f1_score, recall_score

from ser_model.audio_io import load_audio
from tests.train.generated_corpora import make_corpus
from train.data import load_corpora
from train.evaluation.reporting import report
from train.evaluation.scoring import (
    among_labels_of_corpora,
    bootstrap_interval,
    figures_of,
    figures_over_seeds,
    metrics,
    pooled_states,
    predict,
    score_matrix,
    write_predictions,
)
from train.fit.calibration import fit_temperature
from train.fit.checkpoint import SPEAKER_DISJOINT, SPEAKERS_SEEN
from train.fit.recipe import Recipe


LABELS = ["angry", "happy", "sad"]
METRICS = Path(__file__).parents[3] / "train" / "metrics"


def table_of(rows: list[tuple], **columns) -> pd.DataFrame:
    """Predictions of (speaker, label, prediction): certain ones, or with the scores given as a column."""
    speakers, truth, predicted = zip(*rows, strict=True)
    scores = {f"score_{label}": [float(label == name) for name in predicted] for label in LABELS}
    table = {
        "path": [f"/{number}.wav" for number in range(len(rows))],
        "corpus": [speaker.partition("-")[0] for speaker in speakers],
        "speaker": speakers,
        "sex": ["female" if speaker.endswith("1") else "male" for speaker in speakers],
        "language": "en",
        "sentence": "",
        "label": truth,
        "prediction": predicted,
    }
    return pd.DataFrame(table | scores | columns)


def random_table(clips: int = 300, speakers: int = 6, seed: int = 0) -> pd.DataFrame:
    """Predictions that are right about half of the time, with scores that fit them."""
    generator = np.random.default_rng(seed)
    scores = generator.dirichlet([0.7] * len(LABELS), clips)
    truth = [generator.choice(LABELS, p=0.5 * row + 0.5 / 3) for row in scores]
    predicted = [LABELS[index] for index in scores.argmax(1)]
    names = [f"corpus-{number}" for number in generator.integers(speakers, size=clips)]
    columns = {f"score_{label}": scores[:, index] for index, label in enumerate(LABELS)}
    return table_of(list(zip(names, truth, predicted, strict=True)), **columns)


# --- metric modules ---


def test_uar_is_the_mean_recall_of_the_labels_that_occur():
    uar = evaluate.load(str(METRICS / "uar"))
    assert uar.compute(predictions=[0, 0, 1, 2], references=[0, 0, 0, 1]) == {"uar": pytest.approx((2 / 3 + 0) / 2)}
    generator = np.random.default_rng(0)
    references, predictions = generator.integers(5, size=(2, 200))
    expected = balanced_accuracy_score(references, predictions)
    assert uar.compute(predictions=predictions, references=references)["uar"] == pytest.approx(expected)


def test_macro_f1_leaves_out_labels_that_never_occur():
    macro_f1 = evaluate.load(str(METRICS / "macro_f1"))
    # Label 0: precision 1, recall 2/3; label 1: never found; label 2 is no reference.
    assert macro_f1.compute(predictions=[0, 0, 1, 2], references=[0, 0, 0, 1]) == {"macro_f1": pytest.approx(0.4)}
    generator = np.random.default_rng(0)
    references, predictions = generator.integers(5, size=(2, 200))
    expected = f1_score(references, predictions, average="macro")
    assert macro_f1.compute(predictions=predictions, references=references)["macro_f1"] == pytest.approx(expected)


def test_calibration_error_by_hand():
    calibration_error = evaluate.load(str(METRICS / "calibration_error"))
    scores = [[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.0, 1.0]]
    # Two at 0.9 of which one is right (0.4 too sure), one at 0.6 that is right (0.4 too modest), one at 1.0, right.
    result = calibration_error.compute(prediction_scores=scores, references=[0, 1, 1, 1])
    assert result == {"calibration_error": pytest.approx((2 * 0.4 + 0.4 + 0) / 4)}
    # In one bin: confidence 0.85 on average, three of four are right.
    result = calibration_error.compute(prediction_scores=scores, references=[0, 1, 1, 1], bins=1)
    assert result == {"calibration_error": pytest.approx(0.1)}


def test_brier_score_by_hand_and_for_two_classes():
    brier_score = evaluate.load(str(METRICS / "brier_score"))
    result = brier_score.compute(prediction_scores=[[0.5, 0.3, 0.2], [0.0, 1.0, 0.0]], references=[0, 2])
    assert result == {"brier_score": pytest.approx((0.25 + 0.09 + 0.04 + 0 + 1 + 1) / 2)}
    generator = np.random.default_rng(0)
    share, references = generator.random(100), generator.integers(2, size=100)
    result = brier_score.compute(prediction_scores=np.stack([1 - share, share], 1), references=references)
    assert result["brier_score"] == pytest.approx(2 * brier_score_loss(references, share), rel=1e-5)


# --- figures of a table ---


def test_figures_of_a_small_table():
    rows = [("a-1", "angry", "angry"), ("a-1", "sad", "angry"), ("a-2", "angry", "happy"), ("a-2", "angry", "angry")]
    figures = figures_of(table_of(rows), LABELS)
    assert figures["uar"] == pytest.approx((2 / 3 + 0) / 2)
    assert figures["recall"] == {"angry": pytest.approx(2 / 3), "sad": 0.0}
    assert figures["accuracy"] == 0.5
    assert figures["confusion_matrix"] == [[2, 1, 0], [0, 0, 0], [1, 0, 0]]
    assert figures["calibration_error"] == 0.5
    assert figures["brier_score"] == 1.0
    assert (figures["clips"], figures["speakers"]) == (4, 2)
    assert figures["uar_by_speaker"] == {"a-1": 0.5, "a-2": 0.5}
    assert figures["uar_by_sex"] == {"female": 0.5, "male": 0.5}
    assert figures["uar_interval"] is None


def test_figures_agree_with_scikit_learn():
    table = random_table()
    figures = figures_of(table, LABELS)
    truth, predicted = table["label"], table["prediction"]
    assert figures["uar"] == pytest.approx(balanced_accuracy_score(truth, predicted))
    assert figures["macro_f1"] == pytest.approx(f1_score(truth, predicted, average="macro"))
    recalls = recall_score(truth, predicted, labels=LABELS, average=None)
    assert list(figures["recall"].values()) == pytest.approx(recalls)
    worst = table[table["speaker"] == figures["worst_speaker"]]
    assert balanced_accuracy_score(worst["label"], worst["prediction"]) == min(figures["uar_by_speaker"].values())


def test_each_corpus_has_its_figures():
    table = table_of([("a-1", "angry", "angry"), ("b-1", "angry", "sad"), ("b-2", "sad", "sad")])
    result = metrics(table, LABELS)
    assert {name: figures["uar"] for name, figures in result["corpora"].items()} == {"a": 1.0, "b": 0.5}
    assert result["uar"] == pytest.approx(0.75)


def test_common_sentences_of_ased_are_reported_by_themselves():
    rows = [("ased-1", "angry", "angry"), ("ased-1", "sad", "angry"), ("ased-2", "sad", "sad")]
    table = table_of(rows, sentence=["01", "02", "s07"])
    common = metrics(table, LABELS)["corpora"]["ased"]["common_sentences"]
    assert (common["clips"], common["uar"]) == (2, 0.5)
    assert "common_sentences" not in metrics(table.assign(sentence="s07"), LABELS)["corpora"]["ased"]
    assert "common_sentences" not in metrics(table.assign(corpus="other"), LABELS)["corpora"]["other"]


def test_interval_is_that_of_drawing_speakers_anew():
    table = random_table(clips=400, speakers=8)
    low, high = bootstrap_interval(table)
    generator = np.random.default_rng(1)
    groups = [rows for _, rows in table.groupby("speaker")]
    uars = []
    for _ in range(300):
        drawn = pd.concat([groups[index] for index in generator.integers(len(groups), size=len(groups))])
        uars.append(balanced_accuracy_score(drawn["label"], drawn["prediction"]))
    assert [low, high] == pytest.approx(np.percentile(uars, [2.5, 97.5]), abs=0.015)
    assert low < figures_of(table, LABELS)["uar"] < high
    assert [low, high] == bootstrap_interval(table)


def test_interval_of_speakers_who_are_all_alike_is_a_point():
    rows = [(f"a-{speaker}", label, "sad") for speaker in range(4) for label in ("angry", "sad")]
    assert bootstrap_interval(table_of(rows)) == [0.5, 0.5]


def test_interval_is_wide_where_speakers_differ():
    alike = random_table(clips=600, speakers=4)
    by_voice = [(f"a-{speaker}", label, label if speaker < 2 else "sad") for speaker in range(4) for label in LABELS]
    different = table_of(by_voice * 50)
    widths = [high - low for low, high in map(bootstrap_interval, (alike, different))]
    assert widths[0] < 0.2
    assert widths[1] > 0.6  # some draws have the good voices only, some the bad ones


# --- over seeds ---


def test_seeds_are_averaged_and_never_an_ensemble():
    good = table_of([("a-1", "angry", "angry"), ("a-2", "sad", "sad"), ("a-3", "happy", "happy")])
    bad = table_of([("a-1", "angry", "angry"), ("a-2", "sad", "angry"), ("a-3", "happy", "angry")])
    seeds = [good.assign(seed=0), bad.assign(seed=1), bad.assign(seed=2)]
    table = pd.concat([rows.assign(fold=["fold1", "fold1", "fold2"]) for rows in seeds], ignore_index=True)
    figures = figures_over_seeds(table, LABELS)
    assert figures["uar"] == pytest.approx((1 + 1 / 3 + 1 / 3) / 3)
    assert figures["deviation"]["uar"] == pytest.approx(np.std([1, 1 / 3, 1 / 3], ddof=1))
    assert figures["macro_f1"] == pytest.approx((1 + 1 / 6 + 1 / 6) / 3)
    assert (figures["clips"], figures["speakers"]) == (3, 3)
    assert {seed: one["uar"] for seed, one in figures["seeds"].items()} == pytest.approx(
        {"0": 1, "1": 1 / 3, "2": 1 / 3}
    )
    assert np.array(figures["confusion_matrix"]) == pytest.approx(
        np.array([[1, 0, 0], [2 / 3, 1 / 3, 0], [2 / 3, 0, 1 / 3]])
    )
    assert figures["uar_by_speaker"] == pytest.approx({"a-1": 1, "a-2": 1 / 3, "a-3": 1 / 3})
    assert figures["uar_by_fold"] == pytest.approx({"fold1": 2 / 3, "fold2": 1 / 3})


def test_one_seed_has_no_deviation():
    figures = metrics(random_table().assign(seed=0, fold="fold1"), LABELS)
    assert figures["deviation"] == dict.fromkeys(("uar", "accuracy", "macro_f1", "calibration_error", "brier_score"))
    assert figures["uar"] == figures["seeds"]["0"]["uar"]


# --- temperature ---


def test_temperature_undoes_a_factor():
    torch.manual_seed(0)
    logits = 2 * torch.randn(4000, 4)
    targets = torch.distributions.Categorical(logits=logits).sample()
    assert fit_temperature(logits, targets) == pytest.approx(1, abs=0.05)
    assert fit_temperature(3 * logits, targets) == pytest.approx(3, abs=0.15)


# --- a network's predictions ---


@pytest.fixture(scope="module")
def corpora(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("corpora")
    make_corpus("savee", root, clips_per_label=2)
    # Clips of other lengths, so that batches are padded.
    make_corpus("savee", root, speakers=["savee-KL"], clips_per_label=1, duration_s=0.9)
    return root


@pytest.fixture(scope="module")
def recipe(tiny) -> Recipe:
    return tiny.recipe


def test_predictions_are_those_of_each_clip_alone(corpora, recipe, tiny):
    dataset = load_corpora(["savee"], corpora, labels=recipe.labels)
    table = predict(tiny.model, tiny.extractor, dataset, batch_size=5)
    states = pooled_states(tiny.model, tiny.extractor, dataset, batch_size=7)
    assert table["path"].tolist() == dataset["path"][:]
    assert table["label"].tolist() == [recipe.labels[index] for index in dataset["label"][:]]
    assert states.shape == (len(dataset), 16)
    for row in (0, 17, len(dataset) - 1):
        features = tiny.extractor(load_audio(table["path"][row]), return_tensors="pt")
        with torch.inference_mode():
            scores = tiny.model(**features).logits.softmax(-1)[0].numpy()
            state = tiny.model.ser(**features).pooler_output[0].numpy()
        assert table.loc[row, [f"score_{label}" for label in recipe.labels]].to_numpy(float) == pytest.approx(
            scores, abs=1e-5
        )
        assert states[row] == pytest.approx(state, abs=1e-5)
        assert table["prediction"][row] == recipe.labels[scores.argmax()]


def test_labels_in_another_order_are_an_error(corpora, recipe, tiny):
    dataset = load_corpora(["savee"], corpora, labels=recipe.labels[::-1])
    with pytest.raises(ValueError, match="dataset's labels are"):
        predict(tiny.model, tiny.extractor, dataset)


def test_written_paths_are_relative_to_the_corpora(corpora, tmp_path):
    table = table_of([("a-1", "sad", "sad")]).assign(path=str(corpora / "savee" / "clip.wav"))
    link = tmp_path / "link"
    link.symlink_to(corpora)
    write_predictions(table, tmp_path / "predictions.parquet", corpora)
    assert pd.read_parquet(tmp_path / "predictions.parquet")["path"].tolist() == ["savee/clip.wav"]
    write_predictions(table.assign(path=str(link / "clip.wav")), tmp_path / "predictions.parquet", link)
    assert pd.read_parquet(tmp_path / "predictions.parquet")["path"].tolist() == ["clip.wav"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "predictions.parquet"]


def test_report_says_whether_speakers_were_heard(corpora, recipe, tiny, tmp_path, capsys):
    dataset = load_corpora(["savee"], corpora, labels=recipe.labels)
    speakers = np.array(dataset["speaker"][:])
    unheard = dataset.select(np.flatnonzero(~np.isin(speakers, list(tiny.speakers))))
    result = report(tiny, unheard, tmp_path / "unheard", split="test", corpora_root=corpora)
    assert result["protocol"] == SPEAKER_DISJOINT
    assert report(tiny, dataset, tmp_path / "all", split="all", corpora_root=corpora)["protocol"] == SPEAKERS_SEEN
    assert json.loads((tmp_path / "unheard" / "metrics.json").read_text()) == result
    predictions = pd.read_parquet(tmp_path / "unheard" / "predictions.parquet")
    assert result["uar"] == pytest.approx(balanced_accuracy_score(predictions["label"], predictions["prediction"]))
    assert result["recipe"]["name"] == "tiny"
    assert result["parameters"] == sum(parameter.numel() for parameter in tiny.model.parameters())
    drawn = {path.name for path in (tmp_path / "unheard").glob("*.png")}
    names = ("confusion_matrix_savee", "pooled_states", "reliability_savee", "speakers_savee")
    assert drawn == {f"{name}.png" for name in names}
    printed = capsys.readouterr().out
    assert "test split, speaker-disjoint" in printed
    assert "all split, speakers seen in training" in printed
    assert "calibration error" in printed
    assert "UAR by sex: one sex only" in printed
    assert printed.count("True: ") == 20


def test_predictions_among_the_labels_of_a_corpus():
    """Scores of other labels go, the rest sums to 1, and the next best label is predicted."""
    labels = ["angry", "boredom", "calm"]
    table = pd.DataFrame([[0.2, 0.5, 0.3], [0.2, 0.5, 0.3]], columns=[f"score_{label}" for label in labels])
    table["prediction"] = "boredom"
    allowed = np.array([[True, False, True], [True, True, True]])
    restricted = among_labels_of_corpora(table, allowed, labels)
    assert restricted["prediction"].tolist() == ["calm", "boredom"]
    np.testing.assert_allclose(score_matrix(restricted, labels), [[0.4, 0, 0.6], [0.2, 0.5, 0.3]], rtol=1e-6)
    assert table["prediction"].tolist() == ["boredom", "boredom"]

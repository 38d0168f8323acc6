"""Every recipe trains by one command and leaves a checkpoint that answers; augmentation is for training alone."""

import json
import math
import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import datasets
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import TrainingArguments

from ser_model import SERConfig, SERFeatureExtractor, SERForAudioClassification
from ser_model.audio_io import load_audio
from ser_model.functionals import track_count, without_correlations
from ser_model.metrics_file import read_metrics, weights_sha256
from tests.train.generated_corpora import make_corpus
from train.__main__ import main
from train.augment.voice import speech_like
from train.augment.waveform_augmentation import WaveformAugmentation
from train.data import CORPORA, load_corpora
from train.data.dataset import (
    LOUD_DB,
    BatchBuilder,
    CroppedRows,
    UtteranceRows,
    analysed,
    feature_statistics,
    sample_rows,
    unchanged_batches,
    voice_directions,
)
from train.data.randomness import Epoch
from train.data.waveform_rows import WaveformRows
from train.fit.loss import log_priors
from train.fit.recipe import Recipe, RecipeError, load_recipe, recipe_names
from train.fit.run_folder import locked
from train.fit.trainer import build_trainer
from train.fit.training import every_training_clip, set_statistics
from train.fit.training_arguments import has_bfloat16_lstm, training_arguments


TINY = ["training.num_train_epochs=2", "training.per_device_train_batch_size=16", "training.disable_tqdm=true"]
WORKERS = "training.dataloader_num_workers=0"


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    """A feature cache of this module's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))
        yield


@pytest.fixture(scope="module")
def corpora(tmp_path_factory) -> Path:
    """Every corpus, with four speakers and one clip of each and every label."""
    root = tmp_path_factory.mktemp("corpora")
    for name in CORPORA:
        make_corpus(name, root, speakers=4, clips_per_label=1, duration_s=0.25)
    return root


def tiny(name: str) -> list[str]:
    """Overrides that keep a recipe's layers and give each eight units."""
    network = load_recipe(name).config()
    sizes = {key: [8] * len(getattr(network, key)) for key in ("conv_channels", "lstm_sizes", "dense_sizes")}
    return [*TINY, WORKERS, *(f"network.{key}={value}" for key, value in sizes.items())]


def fit(name: str, corpora_root: Path, output: Path, *overrides: str) -> None:
    """The command, which must succeed."""
    settings = [part for override in overrides for part in ("--set", override)]
    assert main(["fit", name, "--corpora-root", str(corpora_root), "--output", str(output), *settings]) == 0


def evaluate(checkpoint: Path, corpora_root: Path, *corpora: str) -> dict:
    """Metrics that the command measures on the test split; empty if it refuses."""
    output = checkpoint / "evaluated"
    arguments = ["evaluate", str(checkpoint), "--corpora", *corpora, "--corpora-root", str(corpora_root)]
    done = main([*arguments, "--output", str(output)]) == 0
    return json.loads((output / "metrics.json").read_text()) if done else {}


def answer(folder: Path, clip: np.ndarray) -> dict[str, float]:
    """Probability of each label, from the files alone."""
    model = SERForAudioClassification.from_pretrained(folder).eval()
    extractor = SERFeatureExtractor.from_pretrained(folder)
    with torch.inference_mode():
        logits = model(**extractor(clip, sampling_rate=extractor.sampling_rate, return_tensors="pt")).logits[0]
    return {model.config.id2label[index]: float(value) for index, value in enumerate(logits.softmax(-1))}


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_trains_and_its_checkpoint_answers(name, corpora, tmp_path):
    recipe, output = load_recipe(name), tmp_path / name
    for trained in filter(None, (recipe.start, name)):
        fit(trained, corpora, tmp_path / trained, *tiny(trained))
    scores = answer(output, speech_like(1.0))
    assert list(scores) == recipe.labels
    assert sum(scores.values()) == pytest.approx(1, abs=1e-5)
    stored = json.loads((output / "recipe.json").read_text())
    assert stored["waveform_augmentation"] == recipe.waveform_augmentation
    losses = [entry["loss"] for entry in json.loads((output / "history.json").read_text()) if "loss" in entry]
    assert len(losses) == 2
    assert np.isfinite(losses).all()


def test_a_training_goes_on_from_the_weights_of_another(corpora, tmp_path, capsys):
    arguments = ["fit", "ravdess_lstm", "--corpora-root", str(corpora), "--output", str(tmp_path / "second")]
    settings = [*tiny("ravdess_lstm"), "early_stopping_patience=0", "refit=true", "training.learning_rate=0.0"]
    arguments += [part for setting in [*settings, "start=first"] for part in ("--set", setting)]
    assert main(arguments) == 1
    assert "ravdess_lstm goes on from first: train that first" in capsys.readouterr().err
    fit("ravdess_lstm", corpora, tmp_path / "first", *tiny("ravdess_lstm"))
    assert main(arguments) == 0
    first, second = (load_file(tmp_path / name / "model.safetensors") for name in ("first", "second"))
    assert all(torch.equal(first[name], second[name]) for name in first)
    temperatures = {SERConfig.from_pretrained(tmp_path / name).temperature for name in ("first", "second")}
    assert len(temperatures) == 1
    assert main([*arguments, "--set", "network.lstm_sizes=[4, 4]"]) == 1
    assert "it differs in network" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["ravdess_lstm", "tess_lstm"])
def test_the_random_split_is_one_override_away(name, corpora, tmp_path):
    make_corpus(name.removesuffix("_lstm"), tmp_path, speakers=2, clips_per_label=4, duration_s=0.25)
    fit(name, tmp_path, tmp_path / "run", *tiny(name), "split=random")
    result = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert "seen" in result["protocol"]
    assert result["clips"] == pytest.approx(0.2 * 2 * 4 * len(load_recipe(name).labels), abs=1)
    again = evaluate(tmp_path / "run", tmp_path, *load_recipe(name).corpora)
    assert all(again[key] == result[key] for key in ("clips", "uar", "protocol"))
    assert evaluate(tmp_path / "run", corpora, "ravdess", "tess") == {}


def test_a_model_that_heard_the_test_speakers_is_not_tested_on_them(corpora, tmp_path, capsys):
    make_corpus("ravdess", tmp_path, speakers=24, clips_per_label=1, duration_s=0.25)
    fit("ravdess_lstm", tmp_path, tmp_path / "run", *tiny("ravdess_lstm"))
    assert evaluate(tmp_path / "run", tmp_path, "ravdess")["protocol"] == "speaker-disjoint"
    assert evaluate(tmp_path / "run", corpora, "tess") == {}
    assert "tess: the split 'test' has no clips; try --split all" in capsys.readouterr().err
    recipe = tmp_path / "run" / "recipe.json"
    content = json.loads(recipe.read_text())
    recipe.write_text(json.dumps(content | {"speakers": [*content["speakers"], "ravdess-08"]}))
    assert evaluate(tmp_path / "run", tmp_path, "ravdess") == {}
    assert "Test speakers were heard in this model's training: ravdess-08." in capsys.readouterr().err


def small_recipe(**changes) -> Recipe:
    """A network that learns the generated RAVDESS in seconds."""
    content = {
        "name": "small",
        "description": "For tests.",
        "corpora": ["ravdess"],
        "labels": ["angry", "calm", "disgust", "fearful", "happy", "neutral", "sad", "surprised"],
        "features": {"feature_names": ["mfcc", "rms", "spectral_centroid", "f0"], "n_mfcc": 13},
        "network": {"lstm_sizes": [24], "lstm_dropout": 0.0, "pooling": "attention", "dense_sizes": []},
        "training": {
            "num_train_epochs": 6,
            "per_device_train_batch_size": 8,
            "learning_rate": 0.01,
            "disable_tqdm": True,
            "save_strategy": "no",
            "max_grad_norm": 0.0,
        },
    }
    return Recipe(**(content | changes))


def trainer_of(recipe: Recipe, corpora_root: Path, output: Path):
    """The recipe's Trainer on the generated clips, which are validated on as well."""
    extractor = recipe.feature_extractor()
    dataset = load_corpora(recipe.corpora, corpora_root, labels=recipe.labels, label_map=recipe.label_map)
    dataset = analysed(dataset, extractor)
    torch.manual_seed(0)
    model = SERForAudioClassification(recipe.config())
    model.ser.set_feature_statistics(torch.zeros(17), torch.full((17,), 100.0))
    return build_trainer(recipe, model, extractor, dataset, dataset, training_arguments(recipe, output))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"augmentation": {"speed": 0.1}},
        {"waveform_augmentation": {"noise_probability": 0.5, "time_stretch": 0.2}},
        {"mask_labels": True, "balance": ["label"]},
        {"mask_labels": True, "logit_adjustment": 1.0},
    ],
    ids=["plain", "spectrograms", "waveforms", "masked and weighted", "masked and adjusted"],
)
def test_the_loss_falls(changes, corpora, tmp_path):
    trainer = trainer_of(small_recipe(**changes), corpora, tmp_path)
    before = trainer.evaluate()
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert losses[-1] < 0.9 * losses[0]
    after = trainer.evaluate()
    assert after["eval_loss"] < before["eval_loss"]
    assert after["eval_uar"] > before["eval_uar"]


@pytest.mark.skipif(not has_bfloat16_lstm(torch.device("cpu")), reason="this processor has no LSTM in bfloat16")
def test_training_in_bfloat16_learns_and_keeps_its_weights_whole(corpora, tmp_path):
    settings = small_recipe().training | {"bf16": True}
    trainer, computed_in = trainer_of(small_recipe(training=settings), corpora, tmp_path), set()
    linear = next(layer for layer in trainer.model.modules() if isinstance(layer, torch.nn.Linear))
    linear.register_forward_hook(lambda _layer, _inputs, output: computed_in.add(output.dtype))
    before = trainer.evaluate()
    trainer.train()
    assert trainer.evaluate()["eval_loss"] < before["eval_loss"]
    assert torch.bfloat16 in computed_in
    assert {parameter.dtype for parameter in trainer.model.parameters()} == {torch.float32}


def test_bfloat16_that_a_processor_lacks_is_refused(monkeypatch):
    monkeypatch.setattr("train.fit.training_arguments.has_bfloat16_lstm", lambda _device: False)
    with pytest.raises(RecipeError, match="this processor has no LSTM in bfloat16"):
        training_arguments(small_recipe(training=small_recipe().training | {"bf16": True}))
    training_arguments(small_recipe())


def batches(trainer, epoch: int) -> list[dict[str, torch.Tensor]]:
    """All training batches of an epoch."""
    trainer.epoch.set(epoch)
    return [{name: values.clone() for name, values in batch.items()} for batch in trainer.get_train_dataloader()]


def test_rows_reach_workers_that_are_not_forked(corpora, tmp_path):
    rows = trainer_of(small_recipe(), corpora, tmp_path).train_dataset
    sent = pickle.loads(pickle.dumps(rows))  # as a data loader does where processes are spawned
    assert len(sent) == len(rows) > 0
    np.testing.assert_array_equal(sent[len(sent) - 1]["log_mel"], rows[len(rows) - 1]["log_mel"])


@pytest.mark.parametrize(
    "changes",
    [
        {"waveform_augmentation": {"time_stretch": 0.2, "noise_probability": 0.5, "probability": 0.8}},
        {"augmentation": {"speed": 0.1, "time_masks": 1}},
    ],
    ids=["waveforms", "spectrograms"],
)
def test_same_seed_same_batches_whatever_the_workers(changes, corpora, tmp_path):
    recipes = [small_recipe(**changes) for _ in range(2)]
    recipes[1].training = recipes[1].training | {"dataloader_num_workers": 2}
    alone, helped = (trainer_of(recipe, corpora, tmp_path) for recipe in recipes)
    first, again, with_workers = batches(alone, 0), batches(alone, 0), batches(helped, 0)
    assert len(first) == len(with_workers) == 4
    for one, other, third in zip(first, again, with_workers, strict=True):
        assert set(one) == set(other) == set(third)
        for name in one:
            torch.testing.assert_close(one[name], other[name], rtol=0, atol=0, msg=name)
            torch.testing.assert_close(one[name], third[name], rtol=1e-5, atol=1e-4, msg=name)
    second_epoch = batches(alone, 1)
    assert not any(
        one["input_features"].shape == other["input_features"].shape
        and torch.allclose(one["input_features"], other["input_features"])
        for one in first
        for other in second_epoch
    )


def test_evaluation_is_never_augmented(corpora, tmp_path):
    """Validation batches are those of a recipe without augmentation, also after an epoch of training."""
    everything = {
        "augmentation": {"speed": 0.1, "time_masks": 1},
        "waveform_augmentation": {"noise_probability": 1.0, "noise_snr_db": 0.0, "time_stretch": 0.2},
    }
    plain = list(trainer_of(small_recipe(), corpora, tmp_path).get_eval_dataloader())
    trainer = trainer_of(small_recipe(**everything), corpora, tmp_path)
    trainer.args.num_train_epochs = 1
    trainer.train()
    for one, other in zip(plain, trainer.get_eval_dataloader(), strict=True):
        assert set(one) == {"input_features", "attention_mask", "labels"}
        for name in one:
            torch.testing.assert_close(one[name], other[name], rtol=0, atol=0)


def test_changed_rows_are_analyses_of_changed_clips(corpora):
    """Each row is what the changed clip gives; unchanged ones are cached."""
    recipe = small_recipe()
    extractor = recipe.feature_extractor()
    dataset = analysed(load_corpora(["ravdess"], corpora, labels=recipe.labels), extractor)
    columns = {"length": np.array(dataset["length"][:])}
    cached = UtteranceRows(dataset, columns)
    telephone = WaveformAugmentation(telephone_probability=1.0)  # which draws nothing
    rows = WaveformRows(dataset, columns, extractor, replace(telephone, probability=0.5), seed=0, epoch=Epoch())
    changed = 0
    for row, (before, after) in enumerate(zip(cached, rows, strict=True)):
        assert {name: before[name] for name in ("label", "row", "length")} == {
            name: after[name] for name in ("label", "row", "length")
        }
        before, after = (item["log_mel"].reshape(-1, extractor.analysis_size) for item in (before, after))
        if np.array_equal(before, after):
            continue
        changed += 1
        clip = torch.from_numpy(telephone(load_audio(dataset["path"][row]), 16000))
        np.testing.assert_allclose(after, extractor.analyse([clip])[0][0], rtol=1e-3, atol=0.01)
    assert 0.2 * len(rows) < changed < 0.8 * len(rows)


def test_changed_copies_are_stored_and_drawn(corpora):
    """An epoch draws among the copies; a second training finds them in the cache, another seed makes its own."""
    recipe = small_recipe()
    extractor = recipe.feature_extractor()
    dataset = analysed(load_corpora(["ravdess"], corpora, labels=recipe.labels), extractor)
    noisy = WaveformAugmentation(copies=2, noise_probability=1.0, babble_probability=0.5, noise_snr_db=0.0)

    def drawn(seed: int, epoch: int) -> list[bytes]:
        running = Epoch()
        running.set(epoch)
        rows = WaveformRows(dataset, {}, extractor, noisy, seed, running)
        return [row["log_mel"].tobytes() for row in rows]

    epochs = [drawn(0, epoch) for epoch in range(8)]
    plain = [row["log_mel"].tobytes() for row in UtteranceRows(dataset)]
    for row, before in enumerate(plain):
        variants = {epoch[row] for epoch in epochs}
        assert len(variants) == 2
        assert before not in variants
    assert drawn(0, 3) == epochs[3]
    assert not set(drawn(1, 0)) & set().union(*epochs)


def test_priors_are_the_shares_of_labels_in_each_corpus():
    rows = {"corpus": ["a"] * 4 + ["b"] * 3, "label": [0, 0, 0, 1, 2, 0, 2]}
    features = datasets.Features(
        {"corpus": datasets.Value("string"), "label": datasets.ClassLabel(names=["angry", "calm", "sad"])}
    )
    priors = log_priors(datasets.Dataset.from_dict(rows, features=features))
    np.testing.assert_allclose(priors[:4], np.log([[0.75, 0.25, 1]] * 4), rtol=1e-6)
    np.testing.assert_allclose(priors[4:], np.log([[1 / 3, 1, 2 / 3]] * 3), rtol=1e-6)


def test_the_loss_gets_half_of_the_priors(corpora, tmp_path):
    recipe = small_recipe(mask_labels=True, logit_adjustment=0.5)
    trainer = trainer_of(recipe, corpora, tmp_path)
    batch = batches(trainer, 0)[0]
    share = 1 / len(recipe.labels)  # one clip of each speaker and label
    torch.testing.assert_close(batch["log_prior"], torch.full_like(batch["log_prior"], 0.5 * math.log(share)))


def test_voice_directions_are_those_in_which_voices_differ():
    """Two corpora of three voices: emotions, voices and corpora each have directions of their own."""
    generator = torch.Generator().manual_seed(0)
    speakers = torch.arange(6).repeat_interleave(40)
    corpora, labels = speakers // 3, torch.arange(240) % 4
    size = 12
    functionals = 0.1 * torch.randn(240, size, generator=generator)
    functionals[:, 0] += 5.0 * labels
    functionals[:, 1] += 8.0 * corpora
    functionals[:, 2] += torch.tensor([-2.0, 0.0, 2.0, 2.0, -2.0, 0.0])[speakers]
    functionals[:, 3] += torch.tensor([1.0, -2.0, 1.0, 1.0, 1.0, -2.0])[speakers]
    directions = voice_directions(functionals, labels, speakers, corpora, 2)
    torch.testing.assert_close(directions @ directions.T, torch.eye(2), atol=1e-5, rtol=0)
    assert (directions[:, 2:4].square().sum(1) > 0.99).all()
    both = voice_directions(functionals[:80], labels[:80], speakers[:80], corpora[:80], 3)
    assert both[0].abs().max() > 0.5
    assert (both[1:] == 0).all()  # two voices differ from their mean along one direction
    alone = voice_directions(functionals[:40], labels[:40], speakers[:40], corpora[:40], 2)
    assert (alone == 0).all()


def test_training_takes_voice_directions_out_of_functionals(corpora, tmp_path):
    recipe = small_recipe(
        features={"feature_names": ["mfcc", "spectral_shape", "f0"], "n_mels": 24, "n_mfcc": 5},
        network={"functionals": True, "functional_mfcc": 5, "voice_directions": 2, "lstm_sizes": [4]},
    )
    dataset = analysed(load_corpora(["ravdess"], corpora, labels=recipe.labels), recipe.feature_extractor())
    model = SERForAudioClassification(recipe.config())
    set_statistics(model, dataset, recipe.feature_extractor())
    directions = model.ser.encoder.functionals.voice_directions
    torch.testing.assert_close(directions @ directions.T, torch.eye(2), atol=1e-4, rtol=0)


def test_voice_directions_of_each_track_and_of_pairs_are_kept_apart(corpora):
    settings = {
        "functionals": True,
        "heads": {"sequence": 1, "descriptors": 1},
        "functional_mfcc": 5,
        "voice_directions": 2,
    }
    recipe = small_recipe(
        features={"feature_names": ["mfcc", "spectral_shape", "f0"], "n_mels": 24, "n_mfcc": 5},
        network={**settings, "lstm_sizes": [4]},
    )
    dataset = analysed(load_corpora(["ravdess"], corpora, labels=recipe.labels), recipe.feature_extractor())
    model = SERForAudioClassification(recipe.config())
    set_statistics(model, dataset, recipe.feature_extractor())
    directions = model.ser.encoder.functionals.voice_directions
    torch.testing.assert_close(directions @ directions.T, torch.eye(4), atol=1e-4, rtol=0)
    alone = without_correlations(track_count(5))
    torch.testing.assert_close(directions[:2, ~alone], torch.zeros(2, int((~alone).sum())))
    torch.testing.assert_close(directions[2:, alone], torch.zeros(2, int(alone.sum())))


def test_one_process_uses_one_gpu(tmp_path, monkeypatch):
    """DataParallel does not know how to gather the logits of a network's parts."""
    two = property(lambda arguments: arguments._n_gpu if arguments._n_gpu > 0 else 2)
    monkeypatch.setattr(TrainingArguments, "n_gpu", two)
    assert training_arguments(small_recipe(), tmp_path).n_gpu == 1


def test_statistics_leave_augmentation_out(corpora):
    recipe = small_recipe(waveform_augmentation={"noise_probability": 1.0, "noise_snr_db": 0.0})
    extractor = recipe.feature_extractor()
    dataset = analysed(load_corpora(["ravdess"], corpora, labels=recipe.labels), extractor)
    mean, deviation = feature_statistics(unchanged_batches(sample_rows(dataset), extractor))
    rows = UtteranceRows(dataset)
    builder = BatchBuilder(extractor)
    frames = torch.cat([builder([row])["input_features"][0] for row in rows])
    torch.testing.assert_close(mean, frames.mean(0), rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(deviation, frames.std(0, correction=0), rtol=1e-3, atol=1e-3)


def test_crops_are_pieces_of_the_clips(corpora):
    recipe = small_recipe()
    extractor = recipe.feature_extractor()
    dataset = analysed(load_corpora(["ravdess"], corpora, labels=recipe.labels), extractor)
    pieces, again = (CroppedRows(dataset, 0.2, extractor) for _ in range(2))
    for whole, piece, same in zip(UtteranceRows(dataset), pieces, again, strict=True):
        assert piece["log_mel"].tobytes() == same["log_mel"].tobytes()
        assert len(piece["log_mel"]) == 20 * extractor.analysis_size
        assert piece["log_mel"].tobytes() in whole["log_mel"].tobytes()
        loudest = whole["log_mel"].reshape(-1, extractor.analysis_size)[:, : extractor.n_mels].mean(1).max()
        levels = piece["log_mel"].reshape(-1, extractor.analysis_size)[:, : extractor.n_mels].mean(1)
        assert levels.max() > loudest - LOUD_DB
        assert piece["label"] == whole["label"]
    longer = CroppedRows(dataset, 100.0, extractor)
    assert [row["log_mel"].tobytes() for row in longer] == [row["log_mel"].tobytes() for row in UtteranceRows(dataset)]


def test_shares_are_taken_of_validation_clips_too(corpora):
    recipe = small_recipe()
    dataset = load_corpora(["ravdess"], corpora, labels=recipe.labels)
    splits = {"train": dataset.select(range(4)), "validation": dataset.select(range(4, 12))}
    assert every_training_clip(splits, {"ravdess": 0.25})["path"][:] == dataset.select([0, 1, 2, 3, 7, 11])["path"][:]


def own_clips(folder: Path, corpora: Path, labels: tuple[str, ...]) -> Path:
    """Clips of generated speakers, in folders of other labels."""
    clips = sorted(corpora.rglob("*.wav"))
    for index, label in enumerate(labels):
        for speaker in range(4):
            for number in range(3):
                path = folder / label / f"speaker{speaker}" / f"{number}.wav"
                path.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(clips[(index * 12 + speaker * 3 + number) % len(clips)], path)
    return folder


def test_a_folder_of_own_labels_needs_neither_root_nor_labels(corpora, tmp_path, monkeypatch):
    monkeypatch.delenv("SER_CORPORA", raising=False)
    folder = own_clips(tmp_path / "mine", corpora, ("keen", "puzzled"))
    settings = [part for change in tiny("ravdess_lstm") for part in ("--set", change)]
    output = tmp_path / "out"
    assert main(["fit", "ravdess_lstm", "--corpora", f"folder:{folder}", "--output", str(output), *settings]) == 0
    assert set(json.loads((output / "config.json").read_text())["label2id"]) == {"keen", "puzzled"}


def test_a_folder_belongs_to_one_training(corpora, tmp_path, capsys):
    arguments = ["fit", "ravdess_lstm", "--corpora-root", str(corpora), "--output", str(tmp_path)]
    with locked(tmp_path):
        assert main([*arguments, "--seed", "1"]) == 1
    assert f"Another process works on {tmp_path}: wait for it" in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} <= {".lock"}


def test_figures_tell_which_weights_they_measured(corpora, tmp_path):
    fit("ravdess_lstm", corpora, tmp_path / "first", *tiny("ravdess_lstm"))
    assert read_metrics(tmp_path / "first")["weights_sha256"] == weights_sha256(tmp_path / "first")
    evaluate(tmp_path / "first", corpora, "ravdess")
    assert read_metrics(tmp_path / "first" / "evaluated")["weights_sha256"] == weights_sha256(tmp_path / "first")


def test_a_training_on_one_label_is_refused(corpora, tmp_path, capsys):
    folder = own_clips(tmp_path / "mine", corpora, ("sad",))
    arguments = ["fit", "ravdess_lstm", "--corpora", f"folder:{folder}", "--output", str(tmp_path / "out")]
    assert main(arguments) != 0
    assert "needs at least two labels" in capsys.readouterr().err

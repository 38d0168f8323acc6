"""Runs that are killed: they go on, and end with the weights and figures of one that never was."""

import json
import multiprocessing
import os
import shutil
import signal
from pathlib import Path

import datasets
import pytest
import torch
from datasets import concatenate_datasets
from safetensors.torch import load_file
from transformers import TrainerCallback

from tests.train.generated_corpora import make_corpus
from train.data import feature_cache
from train.data.feature_cache import clip_analyses
from train.evaluation.scoring import metrics, predict
from train.fit import training as fit
from train.fit.recipe import RecipeError, load_recipe
from train.fit.resuming import file_sizes, is_whole, last_whole_checkpoint, step_of


STEPS_PER_EPOCH = 4
OVERRIDES = [
    "network.lstm_sizes=[12, 8]",
    "augmentation.speed=0.1",
    "augmentation.tilt_db=2.0",
    "augmentation.time_masks=1",
    "balance=[label]",
    "early_stopping_patience=2",
    "training.num_train_epochs=4",
    "training.per_device_train_batch_size=12",
    "training.learning_rate=0.01",
    "training.disable_tqdm=true",
]
BY_STEPS = ["training.save_strategy=steps", "training.save_steps=3", "early_stopping_patience=0"]
REFIT = ["refit=true", "early_stopping_patience=0", "training.num_train_epochs=2"]
STOPS_EARLY = ["early_stopping_patience=1", "training.learning_rate=1.0e-12"]


@pytest.fixture(scope="module")
def corpora(tmp_path_factory) -> Path:
    """A RAVDESS with three speakers to train on."""
    root = tmp_path_factory.mktemp("corpora")
    speakers = [f"ravdess-{number}" for number in ("01", "02", "03", "22", "24")]
    make_corpus("ravdess", root, speakers=speakers, clips_per_label=2, duration_s=0.3)
    return root


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory) -> Path:
    """A feature cache of this module's own."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", folder)
        yield folder


@pytest.fixture(scope="module")
def uninterrupted(corpora, tmp_path_factory):
    """A function of overrides that gives the output of a run that was never killed."""
    outputs = {}

    def run(overrides: list[str]) -> Path:
        if str(overrides) not in outputs:
            outputs[str(overrides)] = output = tmp_path_factory.mktemp("uninterrupted")
            train(corpora, output, overrides)
        return outputs[str(overrides)]

    return run


def train(corpora: Path, output: Path, overrides: list[str], *, resume: bool = False) -> None:
    """Train, and test as the command line does, without its figures."""
    recipe = load_recipe("ravdess_lstm", [*OVERRIDES, *overrides])
    splits = fit.load_splits(recipe, corpora, seed=0)
    checkpoint = fit.fit(recipe, splits, output, resume=resume)
    predictions = predict(checkpoint.model, checkpoint.extractor, splits["test"])
    (output / "metrics.json").write_text(json.dumps(metrics(predictions, recipe.labels)))


def train_until_killed(corpora: Path, output: Path, overrides: list[str], moment) -> None:
    """Train in a process that kills itself at a moment, which a function prepares."""

    def prepared() -> None:
        moment()
        train(corpora, output, overrides)

    process = multiprocessing.get_context("fork").Process(target=prepared)
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def in_step(number: int, folder: str = fit.TRAINER_FOLDER):
    """Killed in an epoch, after a step of the training whose checkpoints are in a folder of that name."""

    class Killer(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            if state.global_step == number and Path(args.output_dir).name == folder:
                kill()

    def prepare() -> None:
        patched = fit.SERTrainer.__init__

        def with_killer(self, *args, **kwargs):
            patched(self, *args, **kwargs)
            self.add_callback(Killer)

        fit.SERTrainer.__init__ = with_killer

    return prepare


def in_checkpoint(number: int):
    """Killed while the optimizer's state is written into a checkpoint."""

    def prepare() -> None:
        save, written = torch.save, []

        def cut_off(content, path, *args, **kwargs):
            save(content, path, *args, **kwargs)
            if Path(path).name == "optimizer.pt":
                written.append(path)
                if len(written) == number:
                    os.truncate(path, os.path.getsize(path) // 2)
                    kill()

        torch.save = cut_off

    return prepare


def in_removal(number: int):
    """Killed while an old checkpoint is removed, of which some files are gone."""

    def prepare() -> None:
        removed = []

        def cut_off(path, *args, **kwargs):
            removed.append(path)
            if len(removed) == number:
                Path(path, "model.safetensors").unlink()
                kill()
            remove(path, *args, **kwargs)

        remove, shutil.rmtree = shutil.rmtree, cut_off

    return prepare


def before_the_end():
    """Killed when training is over, before the checkpoint is written."""

    def prepare() -> None:
        fit.write_history = lambda *arguments: kill()

    return prepare


def outcome(output: Path) -> tuple[dict, dict, list]:
    """Weights, figures, and the validation after each epoch.

    The training loss that is logged is left out: it is a mean over the part of an epoch since the run began.
    """
    history = [
        {name: value for name, value in entry.items() if not name.endswith(("_runtime", "_per_second"))}
        for entry in json.loads((output / "history.json").read_text())
        if "eval_loss" in entry
    ]
    figures = json.loads((output / "metrics.json").read_text())
    return load_file(output / "model.safetensors"), figures, history


def assert_same(output: Path, other: Path) -> None:
    weights, figures, history = outcome(output)
    other_weights, other_figures, other_history = outcome(other)
    assert weights.keys() == other_weights.keys()
    for name in weights:
        assert torch.equal(weights[name], other_weights[name]), name
    assert figures == other_figures
    assert history == other_history


@pytest.mark.parametrize(
    ("overrides", "moment", "steps"),
    [
        pytest.param([], in_step(2), [None], id="in the first epoch"),
        pytest.param([], in_step(2 * STEPS_PER_EPOCH + 2), [2 * STEPS_PER_EPOCH], id="in an epoch"),
        pytest.param([], in_checkpoint(2), [STEPS_PER_EPOCH], id="in a checkpoint"),
        # The one of the best epoch is kept, and either of two may be that.
        pytest.param([], in_removal(1), [STEPS_PER_EPOCH, 2 * STEPS_PER_EPOCH], id="in the removal of a checkpoint"),
        pytest.param(BY_STEPS, in_step(2 * STEPS_PER_EPOCH), [6], id="in an epoch, checkpoints by steps"),
        pytest.param(STOPS_EARLY, before_the_end(), [2 * STEPS_PER_EPOCH], id="after early stopping"),
    ],
)
def test_ends_as_if_never_killed(corpora, uninterrupted, tmp_path, overrides, moment, steps):
    """Goes on from a whole checkpoint, written after one of the given numbers of steps."""
    train_until_killed(corpora, tmp_path, overrides, moment)
    last = last_whole_checkpoint(tmp_path / fit.TRAINER_FOLDER)
    assert (last and step_of(last)) in steps
    train(corpora, tmp_path, overrides, resume=True)
    assert_same(tmp_path, uninterrupted(overrides))


def test_a_refit_ends_as_if_never_killed(corpora, uninterrupted, tmp_path):
    """Goes on with the second training, and keeps the temperature of the first."""
    train_until_killed(corpora, tmp_path, REFIT, in_step(STEPS_PER_EPOCH + 3, fit.REFIT_FOLDER))
    assert last_whole_checkpoint(tmp_path / fit.TRAINER_FOLDER / fit.REFIT_FOLDER)
    assert not (tmp_path / "config.json").exists()
    train(corpora, tmp_path, REFIT, resume=True)
    assert_same(tmp_path, uninterrupted(REFIT))
    assert temperature_of(tmp_path) == temperature_of(uninterrupted(REFIT))


def temperature_of(output: Path) -> float:
    return json.loads((output / "config.json").read_text())["temperature"]


def test_a_refit_hears_validation_speakers_and_keeps_the_temperature(corpora, uninterrupted, tmp_path):
    """It ends with the weights of a training whose clips are all those that are not tested."""
    _, *others = REFIT
    assert temperature_of(uninterrupted(REFIT)) == temperature_of(uninterrupted(others)) != 1.0
    recipe = load_recipe("ravdess_lstm", [*OVERRIDES, *others, "training.eval_strategy='no'"])
    splits = fit.load_splits(recipe, corpora, seed=0)
    splits["train"] = concatenate_datasets([splits["train"], splits["validation"]])
    fit.fit(recipe, splits, tmp_path)
    for name, weights in load_file(tmp_path / "model.safetensors").items():
        assert torch.equal(weights, load_file(uninterrupted(REFIT) / "model.safetensors")[name]), name


def test_early_stopping_stops(uninterrupted):
    """Or the last case above would test nothing."""
    _, _, history = outcome(uninterrupted(STOPS_EARLY))
    assert history[-1]["epoch"] == 2


def test_two_runs_are_the_same(corpora, uninterrupted, tmp_path):
    train(corpora, tmp_path, [])
    assert_same(tmp_path, uninterrupted([]))


def test_two_runs_at_once_on_one_cache(corpora, uninterrupted, tmp_path, monkeypatch):
    """Both find it empty, and write the same into it."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    outputs = [tmp_path / "one", tmp_path / "two"]
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=train, args=(corpora, output, [])) for output in outputs]
    for process in processes:
        process.start()
    for process, output in zip(processes, outputs, strict=True):
        process.join(300)
        assert process.exitcode == 0
        assert_same(output, uninterrupted([]))


def test_finished_run_resumed(corpora, uninterrupted, tmp_path):
    train(corpora, tmp_path, [])
    train(corpora, tmp_path, [], resume=True)
    assert_same(tmp_path, uninterrupted([]))


def test_begins_anew_without_resume(corpora, uninterrupted, tmp_path):
    """Checkpoints of another run in the same folder are not mixed with those of this one."""
    train(corpora, tmp_path, ["training.num_train_epochs=5", "early_stopping_patience=0"])
    train(corpora, tmp_path, [])
    train(corpora, tmp_path, [], resume=True)
    assert_same(tmp_path, uninterrupted([]))


@pytest.mark.parametrize("override", ["network.lstm_sizes=[8]", "features.n_mfcc=20", "augmentation.speed=0.2"])
def test_another_recipe_does_not_go_on(corpora, uninterrupted, override):
    output = uninterrupted([])
    before = file_sizes(output)
    name = override.partition("=")[0]
    with pytest.raises(RecipeError, match=f"checkpoints of another run: {name}: .* there, .* now. Resume it as"):
        train(corpora, output, [override], resume=True)
    assert file_sizes(output) == before


def test_goes_on_with_what_an_earlier_version_began(corpora, uninterrupted, tmp_path):
    """Recipe fields that it did not know yet are as by default."""
    train(corpora, tmp_path, [])
    begun = tmp_path / "trainer" / "run.json"
    begun.write_text(
        json.dumps({name: value for name, value in json.loads(begun.read_text()).items() if name != "refit"})
    )
    train(corpora, tmp_path, [], resume=True)
    assert_same(tmp_path, uninterrupted([]))
    begun.write_text(json.dumps(json.loads(begun.read_text()) | {"refit": True}))
    with pytest.raises(RecipeError, match="refit: True there, False now"):
        train(corpora, tmp_path, [], resume=True)


def test_goes_on_with_more_epochs(corpora, tmp_path):
    train(corpora, tmp_path, ["early_stopping_patience=0", "training.num_train_epochs=2"])
    train(corpora, tmp_path, ["early_stopping_patience=0", "training.num_train_epochs=3"], resume=True)
    _, _, history = outcome(tmp_path)
    assert [entry["epoch"] for entry in history] == [1, 2, 3]


def test_checkpoints_with_a_part_missing_are_not_whole(uninterrupted, tmp_path):
    whole = last_whole_checkpoint(uninterrupted([]) / fit.TRAINER_FOLDER)
    assert {"model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json"} <= set(
        file_sizes(whole)
    )
    for name in file_sizes(whole):
        copy = shutil.copytree(whole, tmp_path / name)
        assert is_whole(copy)
        os.truncate(copy / name, os.path.getsize(copy / name) - 1)
        assert not is_whole(copy)
        (copy / name).unlink()
        assert not is_whole(copy)


def test_killed_while_decoding(corpora, tmp_path, cache):
    """A corpus that was decoded half is decoded again; one that was decoded wholly is read from the cache."""
    paths = sorted(map(str, corpora.rglob("*.wav")))
    extractor = load_recipe("ravdess_lstm").feature_extractor()
    decode = feature_cache.load_audio
    decoded = []

    def counting(path, **arguments):
        decoded.append(path)
        return decode(path, **arguments)

    def killed() -> None:
        feature_cache.load_audio = lambda path, **arguments: kill() if path == paths[20] else decode(path, **arguments)
        clip_analyses(paths, extractor)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
        process = multiprocessing.get_context("fork").Process(target=killed)
        process.start()
        process.join(60)
        assert process.exitcode == -signal.SIGKILL
        patch.setattr(feature_cache, "load_audio", counting)
        first = clip_analyses(paths, extractor)
        assert decoded == paths
        again = clip_analyses(paths, extractor)
        assert decoded == paths
    assert first[:] == again[:]
    assert len(first) == len(paths)

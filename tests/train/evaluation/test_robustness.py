"""Robustness: each condition does what it says, as measured, and the command reports them beside the clean clips."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.train.generated_corpora import make_corpus
from train.__main__ import main
from train.augment.voice import RATE, speech_like
from train.augment.waveform_transforms import from_random_place, noisy
from train.data import CorpusError, load_corpora
from train.data.randomness import seeded
from train.evaluation import robustness as module
from train.evaluation.conditions import (
    CLEAN,
    CONDITIONS,
    NOISES,
    SILENCE_S,
    SNRS_DB,
    babble,
    noise_name,
)
from train.evaluation.robustness import other_voices, under_conditions
from train.evaluation.scoring import predict
from train.fit.checkpoint import SPEAKER_DISJOINT, SPEAKERS_SEEN, load_checkpoint, save_checkpoint


VOICES = [speech_like(2.0, pitch, seed=int(pitch)) for pitch in (90.0, 130.0, 210.0)]


def level_db(waveform: np.ndarray) -> float:
    return 10 * np.log10(np.mean(np.square(waveform, dtype=np.float64)))


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "clip.wav"
    soundfile.write(path, speech_like(1.5), RATE)
    return path


@pytest.fixture(scope="module")
def variants(clip) -> dict[str, np.ndarray]:
    return dict(under_conditions(str(clip), VOICES, RATE))


# --- conditions ---


def test_every_condition_is_there_and_changes_the_clip(variants):
    noises = [noise_name(noise, snr) for noise in NOISES for snr in SNRS_DB]
    assert list(variants) == [CLEAN, *noises, *CONDITIONS]
    for name, waveform in variants.items():
        assert waveform.dtype == np.float32
        assert np.isfinite(waveform).all()
        assert name == CLEAN or not np.array_equal(waveform, variants[CLEAN])
        assert len(waveform) == len(variants[CLEAN]) or name == "silence around"


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("snr", SNRS_DB)
def test_noise_has_its_level(variants, noise, snr):
    clean = variants[CLEAN]
    assert level_db(clean) - level_db(variants[noise_name(noise, snr)] - clean) == pytest.approx(snr, abs=0.1)


def test_one_noise_at_all_levels(variants):
    noises = [variants[noise_name("babble", snr)] - variants[CLEAN] for snr in (20, 0)]
    assert np.corrcoef(*noises)[0, 1] == pytest.approx(1, abs=1e-3)


def test_conditions_are_the_same_every_time(clip, variants):
    for name, waveform in under_conditions(str(clip), VOICES, RATE):
        np.testing.assert_array_equal(waveform, variants[name])


def test_babble_has_all_voices_equally_loud():
    voices = [np.full(RATE, 1.0), np.tile([10.0, -10.0], RATE // 2)]
    with seeded(0):
        sound = babble(RATE, voices)
    assert sorted(set(sound.round(6))) == [0.0, 2.0]


def test_silence_has_no_noise():
    assert not noisy(np.zeros(100, np.float32), np.ones(100), 0).any()
    assert np.array_equal(noisy(np.ones(100, np.float32), np.zeros(100), 0), np.ones(100))


def test_a_short_sound_begins_again():
    with seeded(0):
        sound = from_random_place(np.arange(3), 7)
    assert (np.diff(sound) % 3 == 1).all()


def test_what_is_no_noise(variants):
    clean = variants[CLEAN]
    np.testing.assert_allclose(variants["gain +20 dB"], 10 * clean, rtol=1e-6)
    np.testing.assert_allclose(variants["gain −20 dB"], clean / 10, rtol=1e-6)
    assert np.abs(variants["clipping"]).max() == pytest.approx(np.abs(clean).max() / 10**0.6)
    silence = round(SILENCE_S * RATE)
    around = variants["silence around"]
    assert not around[:silence].any()
    assert not around[-silence:].any()
    np.testing.assert_array_equal(around[silence:-silence], clean)
    spectra = {name: np.square(np.abs(np.fft.rfft(variants[name]))) for name in (CLEAN, "telephone band")}
    frequencies = np.fft.rfftfreq(len(clean), 1 / RATE)
    kept = {name: spectrum[(frequencies > 4500)].sum() / spectrum.sum() for name, spectrum in spectra.items()}
    assert kept["telephone band"] < 0.05 * kept[CLEAN]
    for codec in ("MP3, 11 kbit/s", "Opus, 8 kbit/s"):
        delays = np.correlate(variants[codec], clean[400:-400], "valid")
        assert abs(int(delays.argmax()) - 400) < 40  # what is decoded is the clip, and where it was


# --- the test of a checkpoint ---


@pytest.fixture(scope="module")
def corpora(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("corpora")
    make_corpus("savee", root, clips_per_label=1)
    make_corpus("emodb", root, speakers=["emodb-03", "emodb-15", "emodb-16"], clips_per_label=1)
    return root


@pytest.fixture(scope="module")
def model(tiny, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    save_checkpoint(tiny, folder)
    return folder


def run(model: Path, corpora: Path, output: Path, *more: str) -> int:
    options = ["--corpora-root", str(corpora), "--output", str(output)]
    return main(["robustness", str(model), "--corpora", "savee", "emodb", *options, *more])


def test_the_command_reports_every_condition(model, corpora, tmp_path, capsys):
    assert run(model, corpora, tmp_path) == 0
    result = json.loads((tmp_path / "robustness.json").read_text())
    assert (result["protocol"], result["split"]) == (SPEAKER_DISJOINT, "test")
    assert (result["clips"], result["speakers"]) == (7 + 2 * 6, 3)  # KL of SAVEE, 15 and 16 of EmoDB without boredom
    assert set(result["conditions"]) == {
        CLEAN,
        *(noise_name(noise, snr) for noise in NOISES for snr in SNRS_DB),
        *CONDITIONS,
    }
    clean = result["conditions"][CLEAN]
    assert clean["difference"] == 0
    for figures in result["conditions"].values():
        assert figures["difference"] == pytest.approx(figures["uar"] - clean["uar"])
        for corpus in ("savee", "emodb"):
            expected = figures["corpora"][corpus]["uar"] - clean["corpora"][corpus]["uar"]
            assert figures["corpora"][corpus]["difference"] == pytest.approx(expected)
    assert (tmp_path / "robustness.png").stat().st_size > 10_000
    printed = capsys.readouterr().out
    assert "test split, speaker-disjoint: 19 clips of 3 speakers" in printed
    assert "babble, 5 dB" in printed


def test_speakers_that_were_heard_are_told(model, corpora, tmp_path):
    assert run(model, corpora, tmp_path, "--split", "all") == 0
    assert json.loads((tmp_path / "robustness.json").read_text())["protocol"] == SPEAKERS_SEEN


def test_clean_clips_are_answered_as_by_evaluate(model, corpora):
    checkpoint = load_checkpoint(str(model))
    dataset = load_corpora(["emodb"], corpora, labels=checkpoint.recipe.labels, label_map={"boredom": None})
    tables = module.predictions_under_conditions(checkpoint, dataset, dataset)
    expected = predict(checkpoint.model, checkpoint.extractor, dataset)
    scores = [column for column in expected if column.startswith("score_")]
    np.testing.assert_allclose(tables[CLEAN][scores], expected[scores], atol=1e-5)
    assert tables[CLEAN].drop(columns=scores).equals(expected.drop(columns=scores))
    assert not np.allclose(tables["babble, 0 dB"][scores], expected[scores], atol=1e-3)


def test_nobody_babbles_behind_himself(corpora):
    dataset = load_corpora(["emodb"], corpora, labels=["angry", "happy", "sad"])
    others = other_voices(dataset, dataset["speaker"][:], RATE)
    assert {speaker: len(clips) for speaker, clips in others.items()} == dict.fromkeys(others, 6)
    alone = dataset.filter(lambda speaker: speaker == "emodb-15", input_columns="speaker")
    with pytest.raises(CorpusError, match="only emodb-15: name a further corpus"):
        other_voices(alone, alone["speaker"][:], RATE)

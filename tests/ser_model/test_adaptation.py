"""Adapting to a voice: what is corrected and by how much, that the recogniser itself stays, and what is refused."""

import math

import numpy as np
import pytest
import soundfile

from ser_model import AudioError, EmotionRecognizer
from ser_model.adaptation import (
    LARGEST_CORRECTION,
    LEAST_PROBABILITY,
    PRIOR_CLIPS,
    AdaptedBackend,
    clip_weight,
    corrected,
    voice_correction,
    weight_of,
)
from ser_model.backend import Backend, BackendOutput
from ser_model.prediction import Prediction, Segment
from train.augment.voice import RATE, speech_like


@pytest.fixture(scope="module")
def recognizer(checkpoint) -> EmotionRecognizer:
    return EmotionRecognizer.from_pretrained(checkpoint)


@pytest.fixture(scope="module")
def clips() -> list[np.ndarray]:
    return [speech_like(1.5, 100.0 + 10 * number, seed=number) for number in range(4)]


def scores_of(recognizer: EmotionRecognizer, clips) -> np.ndarray:
    predictions = recognizer.predict_batch(clips, sampling_rate=RATE)
    return np.array([list(prediction.scores.values()) for prediction in predictions])


def test_an_imbalance_is_taken_back():
    probabilities = np.array([[0.8, 0.1, 0.1], [0.6, 0.2, 0.2]])
    correction = voice_correction(probabilities)
    assert correction.sum() == pytest.approx(0, abs=1e-6)
    clip_by_clip, together = np.log(probabilities).mean(0), np.log(probabilities.mean(0))
    expected = (clip_by_clip.mean() - clip_by_clip + together.mean() - together) / 2
    assert correction == pytest.approx(expected * 2 / (2 + PRIOR_CLIPS), abs=1e-6)
    after = corrected(probabilities, correction)
    assert after.sum(1) == pytest.approx(1)
    assert (after[:, 0] < probabilities[:, 0]).all()
    assert (after.argmax(1) == 0).all()


def test_words_say_little_of_a_voice():
    """With little voice a clip is as if it had not been given, with enough as if nothing were known of it."""
    sentences, words = np.array([[0.8, 0.1, 0.1], [0.6, 0.2, 0.2]]), np.array([[0.1, 0.1, 0.8]])
    everything = np.concatenate([sentences, words])
    assert [clip_weight(familiarity) for familiarity in (None, math.nan, 0.0, 0.28, 0.55, 1.0)] == [1, 1, 0, 0, 1, 1]
    assert clip_weight((0.28 + 0.55) / 2) == pytest.approx(0.5)
    assert voice_correction(everything, [1, 1, 0]) == pytest.approx(voice_correction(sentences), abs=1e-6)
    assert voice_correction(everything, [1, 1, 1]) == pytest.approx(voice_correction(everything), abs=1e-6)
    assert voice_correction(words, [0]).tolist() == [0, 0, 0]
    half = voice_correction(sentences, [0.5, 0.5])
    assert np.abs(half).max() == pytest.approx(np.abs(voice_correction(sentences)).max() / 5 * 3, abs=1e-6)


def test_the_correction_grows_with_the_number_of_clips():
    row = np.array([[0.5, 0.3, 0.2]])
    sizes = [np.abs(voice_correction(np.repeat(row, number, 0))).max() for number in (1, 5, 10, 1000)]
    assert sizes == sorted(sizes)
    assert sizes[0] < 0.25 * sizes[-1] < 0.25 * LARGEST_CORRECTION


def test_a_balanced_voice_is_not_corrected():
    balanced = np.array([[0.7, 0.2, 0.1], [0.1, 0.7, 0.2], [0.2, 0.1, 0.7]])
    assert voice_correction(balanced) == pytest.approx(0, abs=1e-6)


def test_one_certain_clip_does_not_outweigh_the_others():
    certain = np.array([[1.0, 0.0], *[[0.5, 0.5]] * 9])
    assert np.isfinite(voice_correction(certain)).all()
    assert np.abs(voice_correction(certain)).max() <= -np.log(LEAST_PROBABILITY) / 20


def test_clips_of_one_emotion_do_not_take_it_away():
    angry = np.tile([0.96, 0.02, 0.02], (50, 1))
    correction = voice_correction(angry)
    assert np.abs(correction).max() == pytest.approx(LARGEST_CORRECTION)
    assert (corrected(angry, correction).argmax(1) == 0).all()


def test_the_adapted_recogniser_answers_for_this_voice(recognizer, clips):
    before = scores_of(recognizer, clips)
    adapted = recognizer.adapt(clips, sampling_rate=RATE)
    weights = [clip_weight(answer.familiarity) for answer in recognizer.predict_batch(clips, sampling_rate=RATE)]
    expected = corrected(before, voice_correction(before, weights))
    np.testing.assert_allclose(scores_of(adapted, clips), expected, atol=1e-5)
    np.testing.assert_allclose(scores_of(recognizer, clips), before, atol=1e-6)  # itself it stays as it is
    assert adapted.labels == recognizer.labels
    assert not np.allclose(expected, before, atol=1e-3)


def test_adapting_again_begins_anew(recognizer, clips):
    once = recognizer.adapt(clips[:2], sampling_rate=RATE)
    twice = recognizer.adapt(clips[2:], sampling_rate=RATE).adapt(clips[:2], sampling_rate=RATE)
    np.testing.assert_allclose(scores_of(twice, clips), scores_of(once, clips), atol=1e-6)


def test_files_silent_and_long_clips(recognizer, clips, tmp_path):
    path = tmp_path / "clip.wav"
    soundfile.write(path, clips[0], RATE, subtype="FLOAT")
    expected = recognizer.adapt(clips[:1], sampling_rate=RATE)
    assert_same = np.testing.assert_allclose
    assert_same(scores_of(recognizer.adapt([str(path)]), clips), scores_of(expected, clips), atol=1e-6)
    with_silence = recognizer.adapt([clips[0], np.zeros(RATE)], sampling_rate=RATE)
    assert_same(scores_of(with_silence, clips), scores_of(expected, clips), atol=1e-6)
    long = speech_like(9.0)
    answer = recognizer.predict(long, sampling_rate=RATE)
    adapted = recognizer.adapt([long], sampling_rate=RATE)
    expected = voice_correction(np.array([list(answer.scores.values())]))
    assert isinstance(adapted.backend, AdaptedBackend)
    assert adapted.backend.correction == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("clips", [[], "clip.wav", b"RIFF"])
def test_no_list_of_clips(recognizer, clips):
    with pytest.raises(ValueError, match="adapt takes a list of clips of one speaker, about ten; got"):
        recognizer.adapt(clips)


def test_no_speech_in_any_clip(recognizer):
    with pytest.raises(AudioError, match="None of the 2 clips has speech"):
        recognizer.adapt([np.zeros(RATE), np.zeros(RATE)], sampling_rate=RATE)


def test_a_long_recording_counts_by_its_segment_with_most_voice():
    familiarities = [0.1, 0.55, None, 0.3]
    segments = [
        Segment.from_probabilities("ab", None if one is None else (0.5, 0.5), familiarity=one, start=0, end=1)
        for one in familiarities
    ]
    assert (
        weight_of(Prediction.from_probabilities("ab", (0.5, 0.5), familiarity=0.3, duration=4, segments=segments)) == 1
    )


class BackendOfWords(Backend):
    """Hears half a second of voice in anything."""

    labels = ("angry", "sad")

    def run(self, waveforms):
        rows = len(waveforms)
        return BackendOutput(np.tile(np.float32([0.9, 0.1]), (rows, 1)), np.full(rows, 0.2, np.float32))


def test_words_alone_are_refused(clips):
    with pytest.raises(AudioError, match="None of the 4 clips has speech enough to adapt to: record some whole"):
        EmotionRecognizer(BackendOfWords()).adapt(clips, sampling_rate=RATE)


def test_a_clip_that_cannot_be_used_is_named(recognizer, clips):
    with pytest.raises(AudioError, match="Recording 2 of 2: There is no file"):
        recognizer.adapt([clips[0], "missing.wav"], sampling_rate=RATE)

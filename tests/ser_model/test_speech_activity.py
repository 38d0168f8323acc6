"""Speech is heard at any level and place, and nothing else is taken for it."""

import contextlib
import threading

import numpy as np
import pytest

from ser_model import speech_activity
from ser_model.speech_activity import (
    BLOCK_CHUNKS,
    CHUNK,
    CHUNK_SECONDS,
    MIN_SPEECH,
    block_probabilities,
    blocks,
    has_speech,
    speech_by_block,
    speech_probabilities,
    speech_seconds,
)
from train.augment.sounds import SOUNDS, generated
from train.augment.voice import RATE, speech_like


@pytest.fixture
def heard_chunks(monkeypatch) -> list[int]:
    """Grows by one for every chunk that Silero is asked about."""
    calls = []
    process = speech_activity.SileroVAD.process

    def counted(self, chunk):
        calls.append(1)
        return process(self, chunk)

    monkeypatch.setattr(speech_activity.SileroVAD, "process", counted)
    return calls


@pytest.mark.parametrize("gain_db", [-50, -20, 0, 6])
def test_speech_at_any_level(speech, gain_db):
    assert has_speech(speech * np.float32(10 ** (gain_db / 20)))


def test_the_level_changes_nothing(speech):
    np.testing.assert_allclose(speech_probabilities(speech * 0.01), speech_probabilities(speech), atol=0.02)


def test_speech_behind_silence_and_behind_a_loud_click(speech):
    silence = np.zeros(2 * RATE, np.float32)
    clip = np.concatenate([silence, speech, silence])
    assert has_speech(clip)
    clip *= 0.1
    clip[100] = 1.0
    assert has_speech(clip)


def test_a_voice_that_cries_is_heard_at_the_second_hearing():
    voice = speech_like(3.0, pitch=500.0)
    assert not speech_activity.reaches_minimum(voice, 1.0)
    assert has_speech(voice)
    assert speech_seconds(speech_probabilities(voice)) >= MIN_SPEECH


@pytest.mark.parametrize("kind", SOUNDS)
def test_other_sounds_are_no_speech(kind):
    alarms = [index for index in range(6) if has_speech(generated(kind, index))]
    assert len(alarms) <= 1


@pytest.mark.parametrize("level", [0.0, 1e-4])
def test_silence_and_the_faintest_sounds_are_not_even_asked_about(heard_chunks, speech, level):
    assert not has_speech(speech * np.float32(level))
    assert not heard_chunks


@pytest.mark.parametrize("samples", [1, CHUNK - 1, CHUNK, CHUNK + 1, 2000])
def test_too_short(speech, samples):
    assert not has_speech(speech[8000 : 8000 + samples])
    assert len(speech_probabilities(speech[:samples])) == -(-samples // CHUNK)


def test_it_stops_listening_when_it_has_heard_enough(heard_chunks, speech):
    assert has_speech(np.concatenate([np.zeros(RATE, np.float32), speech]))
    assert len(heard_chunks) < 20


def test_probabilities_tell_where(speech):
    noise = np.random.default_rng(0).standard_normal(10 * RATE).astype(np.float32) * 1e-3
    noise[4 * RATE : 7 * RATE] += speech
    spoken = np.flatnonzero(speech_probabilities(noise) > 0.5) * CHUNK_SECONDS
    assert spoken.min() == pytest.approx(4.0, abs=0.2)
    assert spoken.max() == pytest.approx(7.0, abs=0.2)


def test_blocks_are_heard_in_order_whichever_is_done_first(speech):
    sounds = [speech, generated("chords", 0), np.zeros(7 * RATE, np.float32), generated("siren", 0), speech * 0.1]
    recording = np.concatenate(sounds)
    expected = [block_probabilities(block) for block in blocks([recording])]
    heard = [probabilities for _, probabilities in speech_by_block(blocks([recording]))]
    assert len(heard) == len(expected) > 2
    for ours, alone in zip(heard, expected, strict=True):
        np.testing.assert_array_equal(ours, alone)
    np.testing.assert_array_equal(speech_probabilities(recording), np.concatenate(expected))


def test_blocks_do_not_depend_on_the_pieces_that_a_recording_comes_in(speech):
    recording = np.tile(speech, 7)
    whole = list(blocks([recording]))
    for size in (1000, 50_000, 200_000):
        pieces = (recording[start : start + size] for start in range(0, len(recording), size))
        for ours, expected in zip(blocks(pieces), whole, strict=True):
            np.testing.assert_array_equal(ours, expected)


def test_listening_ends_with_the_one_who_wants_to_know(heard_chunks, speech):
    recording = np.tile(speech, 60)
    listening = speech_by_block(blocks([recording]))
    assert len(next(listening)[1]) == BLOCK_CHUNKS
    listening.close()
    assert len(heard_chunks) < len(recording) / CHUNK / 2


def test_threads_do_not_disturb_one_another(speech):
    alone = speech_probabilities(speech)
    results = []
    threads = [threading.Thread(target=lambda: results.append(speech_probabilities(speech))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    for result in results:
        np.testing.assert_array_equal(result, alone)


def test_one_recording_does_not_change_the_next(speech):
    before = speech_probabilities(speech)
    has_speech(generated("chords", 0))
    np.testing.assert_array_equal(speech_probabilities(speech), before)


def test_few_idle_detectors_are_kept(monkeypatch):
    monkeypatch.setattr(speech_activity, "_idle_detectors", [])
    with contextlib.ExitStack() as stack:
        borrowed = [
            stack.enter_context(speech_activity.borrowed_detector()) for _ in range(speech_activity.MAX_IDLE + 3)
        ]
        assert len(set(map(id, borrowed))) == len(borrowed)
    assert len(speech_activity._idle_detectors) == speech_activity.MAX_IDLE

"""Each change of a waveform does what it says, as measured; all of them are repeatable and bear odd clips."""

import numpy as np
import pytest
import scipy.signal
import soundfile
import torch

from ser_model import SERFeatureExtractor
from train.augment.odd_clips import SAMPLING_RATE, clips
from train.augment.voice import speech_like
from train.augment.waveform_augmentation import WaveformAugmentation
from train.augment.waveform_transforms import CODECS, Codec, Music, Reverberation
from train.data.randomness import seeded


DRAWS = 20
EVERYTHING = WaveformAugmentation(
    time_stretch=0.2,
    reverberation_probability=1.0,
    noise_probability=1.0,
    telephone_probability=1.0,
    codec_probability=1.0,
)


def changed(clip: np.ndarray, draws: int = DRAWS, **strengths) -> list[np.ndarray]:
    """The clip as several draws change it."""
    augmentation = WaveformAugmentation(**strengths)
    results = []
    for draw in range(draws):
        with seeded(draw):
            results.append(augmentation(clip, SAMPLING_RATE))
    return results


def level_db(waveform: np.ndarray) -> float:
    return 10 * np.log10(np.mean(np.square(waveform, dtype=np.float64)))


def buzz(pitch: float = 200.0) -> np.ndarray:
    """Two seconds of a sound with ten harmonics."""
    times = np.arange(2 * SAMPLING_RATE) / SAMPLING_RATE
    harmonics = range(1, 11)
    return (0.1 * sum(np.sin(2 * np.pi * pitch * number * times) / number for number in harmonics)).astype(np.float32)


def median_pitch(waveform: np.ndarray) -> float:
    """Hz, over voiced frames."""
    features = SERFeatureExtractor(feature_names=["f0"])(waveform, return_tensors="np")["input_features"][0]
    return float(np.median(features[features[:, 0] > 0, 0]))


def band_level_db(waveform: np.ndarray, low: float, high: float) -> float:
    frequencies, density = scipy.signal.welch(waveform, SAMPLING_RATE, nperseg=1024)
    return 10 * np.log10(density[(frequencies >= low) & (frequencies <= high)].mean())


def test_noise_has_the_drawn_snr():
    clip = speech_like(2.0)
    ratios = [level_db(clip) - level_db(noisy - clip) for noisy in changed(clip, noise_probability=1, noise_snr_db=5)]
    assert 5 <= min(ratios) < 15
    assert 30 < max(ratios) <= 40.1


def test_noise_stays_below_its_highest_snr():
    clip = speech_like(2.0)
    strengths = {"noise_probability": 1.0, "noise_snr_db": 5.0, "noise_highest_snr_db": 9.0}
    ratios = [level_db(clip) - level_db(noisy - clip) for noisy in changed(clip, **strengths)]
    assert 5 <= min(ratios) < 7 < max(ratios) <= 9.1


def test_noise_of_one_snr_is_measured_as_that():
    clip = speech_like(2.0)
    for noisy in changed(clip, noise_probability=1.0, noise_snr_db=40.0):
        assert level_db(clip) - level_db(noisy - clip) == pytest.approx(40.0, abs=0.1)


def test_noise_has_many_colours():
    clip = speech_like(2.0)
    tilts = []
    for noisy in changed(clip, noise_probability=1.0):
        tilts.append(band_level_db(noisy - clip, 4000, 8000) - band_level_db(noisy - clip, 100, 500))
    assert min(tilts) < -10
    assert max(tilts) > 10


@pytest.mark.parametrize("noise", ["babble_probability", "music_probability"])
def test_voices_and_music_have_the_drawn_snr(noise, tmp_path):
    clip, voices = speech_like(2.0), []
    for number in range(6):
        voices.append(tmp_path / f"{number}.wav")
        soundfile.write(voices[-1], speech_like(1.0, pitch=110 + 30 * number, seed=number), SAMPLING_RATE)
    augmentation = WaveformAugmentation(**{noise: 1.0}, noise_snr_db=5.0)
    ratios = []
    for draw in range(DRAWS):
        with seeded(draw):
            noisy = augmentation(clip, SAMPLING_RATE, [str(voice) for voice in voices])
        assert noisy.shape == clip.shape
        ratios.append(level_db(clip) - level_db(noisy - clip))
    assert 5 <= min(ratios) < 15
    assert 30 < max(ratios) <= 40.1


def test_without_voices_there_is_no_babble():
    clip = speech_like(1.0)
    (same,) = changed(clip, draws=1, babble_probability=1.0)
    np.testing.assert_array_equal(same, clip)


def test_music_is_made_of_harmonic_notes():
    with seeded(0):
        music = Music(0.0).sound(4 * SAMPLING_RATE, SAMPLING_RATE)
    flatness = SERFeatureExtractor(feature_names=["spectral_flatness"])
    noise = np.random.default_rng(0).standard_normal(len(music))
    tonal, flat = (
        np.median(flatness(sound.astype(np.float32), return_tensors="np")["input_features"])
        for sound in (music, noise)
    )
    assert 0 < tonal < 0.02 * flat


def test_time_stretch_changes_the_duration_and_not_the_pitch():
    clip = buzz()
    rates = []
    for stretched in changed(clip, time_stretch=0.2):
        rates.append(len(clip) / len(stretched))
        assert median_pitch(stretched) == pytest.approx(200.0, rel=0.01)
    assert 0.8 <= min(rates) < 0.9
    assert 1.1 < max(rates) <= 1.21


def test_telephone_keeps_its_band():
    clip = clips()["3 s"]
    (filtered,) = changed(clip, draws=1, telephone_probability=1.0)
    change = {
        band: band_level_db(filtered, *band) - band_level_db(clip, *band)
        for band in ((60, 120), (500, 3000), (5500, 7500))
    }
    assert abs(change[500, 3000]) < 1
    assert change[60, 120] < -20
    assert change[5500, 7500] < -15


def test_reverberation_decays_as_drawn():
    """The energy behind a click falls by 60 dB in the drawn time, measured between -5 and -25 dB (Schroeder 1965)."""
    click = np.zeros(2 * SAMPLING_RATE, dtype=np.float32)
    click[0] = 1.0
    room = Reverberation(p=1.0)
    decays = []
    for draw in range(DRAWS):
        with seeded(draw):
            sound = room(click, SAMPLING_RATE)
        assert len(sound) == len(click)
        assert sound[0] == pytest.approx(1.0)
        energy = np.cumsum(np.square(sound[:0:-1], dtype=np.float64))[::-1]
        decibels = 10 * np.log10(energy / energy[0] + 1e-12)
        start, end = (int(np.argmax(decibels < -level)) for level in (5, 25))
        decays.append(3 * (end - start) / SAMPLING_RATE)
        assert decays[-1] == pytest.approx(room.parameters["decay_s"], rel=0.15)
        direct_db = -10 * np.log10(energy[0])
        assert direct_db == pytest.approx(room.parameters["direct_to_reverberant_db"], abs=0.5)
    assert min(decays) < 0.3
    assert max(decays) > 0.6


@pytest.mark.parametrize("codec", CODECS, ids=[settings["subtype"] for settings, _ in CODECS])
def test_codecs_lose_something_and_keep_what_is_said(codec, monkeypatch):
    monkeypatch.setattr("train.augment.waveform_transforms.CODECS", (codec,))
    clip = speech_like(1.5)
    with seeded(1):
        decoded = Codec(p=1.0)(clip, SAMPLING_RATE)
    assert len(decoded) == len(clip)
    assert not np.allclose(decoded, clip, atol=1e-4)
    correlation = np.corrcoef(decoded, clip)[0, 1]  # also says that nothing is delayed
    assert correlation > 0.8
    with seeded(1):
        loud = Codec(p=1.0)(4 * clip, SAMPLING_RATE)  # beyond full scale
    assert np.corrcoef(loud, clip)[0, 1] > 0.8
    assert level_db(loud) - level_db(clip) == pytest.approx(20 * np.log10(4), abs=2)


def test_probability_is_the_share_of_changed_clips():
    clip = speech_like(0.5)
    share = np.mean([not np.array_equal(noisy, clip) for noisy in changed(clip, draws=200, noise_probability=0.3)])
    assert 0.2 < share < 0.4


def test_same_seed_same_sound():
    clip = speech_like(1.0)
    results = []
    for seed in (1, 2, 1):
        with seeded(seed):
            results.append(EVERYTHING(clip, SAMPLING_RATE))
    np.testing.assert_array_equal(results[0], results[2])
    assert not np.array_equal(results[0][:8000], results[1][:8000])


def test_the_clip_itself_stays_as_it_is():
    clip = speech_like(1.0)
    before = clip.copy()
    with seeded(0):
        EVERYTHING(clip, SAMPLING_RATE)
    np.testing.assert_array_equal(clip, before)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", clips())
def test_odd_clips_are_borne(name):
    for draw in range(3):
        with seeded(draw):
            result = EVERYTHING(clips()[name], SAMPLING_RATE)
        assert result.dtype == np.float32
        assert result.ndim == 1
        assert len(result) >= 1
        assert np.isfinite(result).all()
        features = SERFeatureExtractor()(result, return_tensors="pt").input_features
        assert torch.isfinite(features).all()


def test_nothing_is_on_by_default():
    assert not WaveformAugmentation().is_active
    assert not WaveformAugmentation(probability=0.0, time_stretch=0.1).is_active
    assert not WaveformAugmentation(noise_snr_db=0.0, copies=3).is_active
    assert WaveformAugmentation(time_stretch=0.1).is_active


@pytest.mark.parametrize(
    "strengths",
    [
        {"noise_probability": 1.5},
        {"copies": -1},
        {"time_stretch": 1.0},
        {"noise_snr_db": 50.0},
    ],
)
def test_impossible_strengths_are_named(strengths):
    (name,) = strengths
    with pytest.raises(ValueError, match=f"waveform_augmentation.{name} must be between"):
        WaveformAugmentation(**strengths)


def test_a_highest_ratio_below_the_lowest_is_named():
    with pytest.raises(ValueError, match="must not be above noise_highest_snr_db"):
        WaveformAugmentation(noise_snr_db=10.0, noise_highest_snr_db=5.0)

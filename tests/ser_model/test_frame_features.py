"""Features beside the mel spectrogram equal librosa's; pitch is right; silence is cut off as librosa does it."""

import subprocess
import sys
from pathlib import Path

import librosa
import numpy as np
import pytest
import torch

from ser_model import SERFeatureExtractor
from ser_model.acoustics import sound_interval
from ser_model.audio_io import load_audio
from ser_model.frame_features import F0_RANGE, FRAME_FEATURES
from train.augment.odd_clips import SAMPLING_RATE, clips
from train.augment.voice import speech_like


PROJECT = Path(__file__).parents[2]

SETTINGS = {
    "default": {},
    "librosa's defaults": {"n_fft": 2048, "win_length": 2048, "hop_length": 512},
    "window shorter than the transform": {"n_fft": 1024, "win_length": 640, "hop_length": 200},
    "odd lengths": {"n_fft": 513, "win_length": 401, "hop_length": 128},
}

# Largest difference, in the feature's own unit: float32 throughout, where librosa has float64 frequencies.
TOLERANCES = {
    "rms": 1e-6,
    "amplitude_envelope": 0.0,
    "zero_crossing_rate": 1e-7,
    "spectral_centroid": 0.02,
    "spectral_bandwidth": 0.02,
    "spectral_rolloff": 1e-3,
    "spectral_flatness": 1e-5,
    "spectral_contrast": 0.01,
    "chroma": 1e-4,
}


def noisy_clips() -> dict[str, np.ndarray]:
    """The odd clips, with faint noise in the pure tone, whose valleys are but the rounding of either library."""
    noise = np.random.default_rng(1).normal(0, 5e-3, 24000).astype(np.float32)
    odd = clips()
    return odd | {"tone": odd["tone"] + noise}


def reference(name: str, clip: np.ndarray, extractor: SERFeatureExtractor) -> np.ndarray:
    """librosa's feature (frames, columns) with the extractor's settings."""
    framing = {"frame_length": extractor.n_fft, "hop_length": extractor.hop_length}
    if name == "rms":
        return librosa.feature.rms(y=clip, **framing).T
    if name == "amplitude_envelope":
        return np.abs(librosa.util.frame(np.pad(clip, extractor.n_fft // 2), **framing)).max(0)[:, None]
    if name == "zero_crossing_rate":
        return librosa.feature.zero_crossing_rate(clip, **framing).T
    settings = {name: getattr(extractor, name) for name in ("n_fft", "win_length", "hop_length")}
    if name != "spectral_flatness":
        settings["sr"] = extractor.sampling_rate
    if name == "chroma":
        return librosa.feature.chroma_stft(y=clip, tuning=0.0, **settings).T
    return getattr(librosa.feature, name)(y=clip, **settings).T


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS.keys())
@pytest.mark.parametrize("name", TOLERANCES)
def test_features_equal_librosa(name, settings):
    extractor = SERFeatureExtractor(feature_names=[name], **settings)
    batch = extractor(list(noisy_clips().values()), sampling_rate=SAMPLING_RATE, return_tensors="np")
    for index, (label, clip) in enumerate(noisy_clips().items()):
        expected = reference(name, clip, extractor)
        frames = batch["attention_mask"][index].sum()
        assert (frames, extractor.feature_size) == expected.shape, label
        np.testing.assert_allclose(
            batch["input_features"][index, :frames], expected, atol=TOLERANCES[name], rtol=0, err_msg=label
        )


def test_every_feature_is_compared():
    assert set(TOLERANCES) | {"f0"} == set(FRAME_FEATURES)


def test_columns_stand_in_the_order_of_the_names():
    """Whatever the order, a name's columns are what the name alone gives, alone or among neighbours."""
    names = ["f0", "mfcc", "chroma", "rms", "log_mel", "spectral_contrast", "zero_crossing_rate"]
    extractor = SERFeatureExtractor(feature_names=names)
    batch = extractor(list(clips().values()), return_tensors="pt")
    for index, clip in enumerate(clips().values()):
        alone = [SERFeatureExtractor(feature_names=[name])(clip, return_tensors="pt").input_features for name in names]
        expected = torch.cat(alone, -1)[0]
        torch.testing.assert_close(batch.input_features[index, : len(expected)], expected, atol=1e-3, rtol=0)
        assert not batch.input_features[index, len(expected) :].any()
    assert extractor.feature_size == batch.input_features.shape[-1] == 2 + 40 + 12 + 1 + 64 + 7 + 1


def test_analysis_has_only_the_columns_that_are_asked_for():
    waveform = [torch.from_numpy(clips()["3 s"])]
    plain, _ = SERFeatureExtractor().analyse(waveform)
    more, _ = SERFeatureExtractor(feature_names=["mfcc", "chroma", "rms"]).analyse(waveform)
    assert plain.shape[-1] == 64
    assert more.shape[-1] == 64 + 1 + 12
    assert torch.equal(more[..., :64], plain)


@pytest.mark.parametrize("name", ["rms", "amplitude_envelope"])
def test_peak_reference_makes_levels_relative(name):
    extractor = SERFeatureExtractor(feature_names=[name], db_reference="peak")
    clip = clips()["fading"]
    loud, faint = (extractor(gain * clip, return_tensors="pt").input_features for gain in (1.0, 0.01))
    torch.testing.assert_close(loud, faint)
    assert loud.max() == 1
    assert not extractor(clips()["silence"], return_tensors="pt").input_features.any()


def pitched(pitches: np.ndarray) -> np.ndarray:
    """A buzz with ten harmonics whose pitch in Hz is given for each sample."""
    phase = 2 * np.pi * np.cumsum(pitches) / SAMPLING_RATE
    return (0.1 * sum(np.sin(harmonic * phase) / harmonic for harmonic in range(1, 11))).astype(np.float32)


def pitch_and_voicing(clip: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both of each frame."""
    features = SERFeatureExtractor(feature_names=["f0"])(clip, return_tensors="np")["input_features"][0]
    return features[:, 0], features[:, 1]


@pytest.mark.parametrize(
    ("start", "end"), [(65, 65), (120, 120), (120, 240), (310, 180), (550, 590)], ids=lambda value: f"{value} Hz"
)
def test_pitch_of_a_buzz_is_right_to_half_a_per_cent(start, end):
    pitches = np.linspace(start, end, 2 * SAMPLING_RATE)
    f0, voicing = pitch_and_voicing(pitched(pitches))
    inner = slice(5, -5)  # the outermost frames reach beyond the clip
    expected = pitches[:: SAMPLING_RATE // 100][: len(f0)][inner]
    np.testing.assert_allclose(f0[inner][: len(expected)], expected, rtol=0.005)
    assert voicing[inner].min() > 0.9


def test_windows_that_share_their_products_have_the_pitch_of_those_that_do_not():
    """The window of 40 ms is four steps of 10 ms, but not a number of steps of 30 ms."""
    clip = speech_like(2.0)
    often, seldom = (
        SERFeatureExtractor(feature_names=["f0"], hop_length=hop)(clip, return_tensors="pt").input_features[0]
        for hop in (160, 480)
    )
    assert (seldom[:, 0] > 0).sum() > 20
    torch.testing.assert_close(often[::3], seldom, rtol=1e-4, atol=1e-4)


def test_pitch_does_not_depend_on_the_level():
    clip = pitched(np.full(SAMPLING_RATE, 150.0))
    for gain in (1e-4, 10.0):
        np.testing.assert_allclose(pitch_and_voicing(gain * clip)[0], pitch_and_voicing(clip)[0], rtol=1e-4)


@pytest.mark.parametrize("name", ["3 s", "faint", "fading", "silence", "one sample", "100 samples"])
def test_noise_and_silence_are_unvoiced(name):
    f0, voicing = pitch_and_voicing(clips()[name])
    assert (f0 == 0).mean() > 0.98
    assert ((voicing >= 0) & (voicing <= 1)).all()
    if name == "silence":
        assert not voicing.any()


def test_pitch_of_a_voice_equals_librosa_yin():
    """On a generated voice; librosa.yin has longer windows, so that gliding pitches differ a little."""
    clip = speech_like(3.0)
    f0, voicing = pitch_and_voicing(clip)
    yin = librosa.yin(clip, fmin=F0_RANGE[0], fmax=F0_RANGE[1], sr=SAMPLING_RATE, frame_length=1024, hop_length=160)
    clearly = voicing > 0.9
    assert clearly.mean() > 0.5
    assert (np.abs(f0[clearly] / yin[clearly] - 1) < 0.02).mean() > 0.98


def test_pitch_of_real_speech_equals_librosa_pyin(corpora_root):
    """Where both find a voice: within 20 % in 98 % of the frames, in these within 1 % on the median."""
    ratios = []
    for emotion in ("01", "04", "05"):
        (path,) = corpora_root.rglob(f"03-01-{emotion}-01-01-01-08.*")
        clip = load_audio(path)[SAMPLING_RATE // 2 : 3 * SAMPLING_RATE]
        f0, _ = pitch_and_voicing(clip)
        pyin, voiced, _ = librosa.pyin(
            clip, fmin=F0_RANGE[0], fmax=F0_RANGE[1], sr=SAMPLING_RATE, frame_length=1024, hop_length=160
        )
        both = voiced & (f0 > 0)
        assert both.sum() > 0.5 * voiced.sum()
        assert (f0[~voiced] > 0).mean() < 0.1
        ratios.append(f0[both] / pyin[both])
    deviations = np.abs(np.concatenate(ratios) - 1)
    assert (deviations < 0.2).mean() > 0.98
    assert np.median(deviations) < 0.01


@pytest.mark.parametrize("trim_db", [10.0, 30.0, 60.0])
@pytest.mark.parametrize(("frame_length", "hop_length"), [(512, 160), (2048, 512), (512, 512)])
def test_trimming_equals_librosa(trim_db, frame_length, hop_length):
    padded = np.pad(clips()["3 s"][:8000], (5000, 7001))
    for name, clip in (clips() | {"silence around noise": padded, "a voice": speech_like(1.0)}).items():
        _, interval = librosa.effects.trim(clip, top_db=trim_db, frame_length=frame_length, hop_length=hop_length)
        ours = sound_interval(torch.from_numpy(clip), frame_length, hop_length, trim_db)
        assert ours == tuple(interval), name


def test_something_always_remains():
    """A click on the last sample, which librosa.effects.trim cuts off with the silence in front."""
    clip = np.zeros(1024, dtype=np.float32)
    clip[-1] = 1.0
    _, interval = librosa.effects.trim(clip, top_db=30, frame_length=512, hop_length=512)
    assert interval[0] == interval[1]
    assert sound_interval(torch.from_numpy(clip), 512, 512, 30.0) == (512, 1024)


def test_trimming_is_part_of_the_extractor(tmp_path):
    noise = clips()["3 s"][:8000]
    clip = np.pad(noise, (5000, 7000))
    SERFeatureExtractor(feature_names=["mfcc", "rms"], trim_db=40.0).save_pretrained(tmp_path)
    trimming = SERFeatureExtractor.from_pretrained(tmp_path)
    start, end = sound_interval(torch.from_numpy(clip), 512, 160, 40.0)
    assert 4500 < start < 5000 < 13000 < end < 13500
    whole = SERFeatureExtractor(feature_names=["mfcc", "rms"])
    torch.testing.assert_close(
        trimming(clip, return_tensors="pt").input_features, whole(clip[start:end], return_tensors="pt").input_features
    )
    batch = trimming([clip, clips()["silence"]], return_tensors="pt")
    assert batch.attention_mask.sum(1).tolist() == [1 + (end - start) // 160, 51]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"trim_db": 0.0}, "trim_db must be positive"),
        ({"feature_names": ["spectral_contrast"], "sampling_rate": 8000}, "12800 Hz"),
        ({"feature_names": ["spectral_contrast"], "n_fft": 64, "win_length": 64}, "at least 80"),
        ({"feature_names": ["spectral_contrasts"]}, "spectral_contrast,"),
    ],
)
def test_bad_settings_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        SERFeatureExtractor(**settings)


def test_prediction_imports_neither_librosa_nor_scipy():
    script = f"""
import sys
import numpy as np
from ser_model.feature_extraction_ser import SERFeatureExtractor
SERFeatureExtractor({sorted(FRAME_FEATURES)}, trim_db=30.0)(np.ones(8000, np.float32))
found = sorted({{"librosa", "scipy", "audiomentations", "numba"}} & set(sys.modules))
assert not found, found
"""
    subprocess.run([sys.executable, "-c", script], cwd=PROJECT, check=True)

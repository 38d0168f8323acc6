"""MFCC equal librosa's, whatever the clip, its neighbours in the batch and the settings."""

import librosa
import numpy as np
import pytest
import torch

from ser_model import SERFeatureExtractor
from train.augment.odd_clips import SAMPLING_RATE, clips


TOLERANCE_DB = 1e-3

SETTINGS = {
    "default": {},
    "librosa's defaults": {"n_mels": 128, "n_fft": 2048, "win_length": 2048, "hop_length": 512, "n_mfcc": 20},
    "narrow band": {"n_mels": 40, "n_mfcc": 13, "fmin": 20.0, "fmax": 7600.0},
    "40 of 128 bands": {"n_mels": 128, "n_fft": 1024, "win_length": 640, "hop_length": 200, "n_mfcc": 40},
    "small dynamic range": {"top_db": 30.0},
}


def reference_mfcc(clip: np.ndarray, extractor: SERFeatureExtractor) -> np.ndarray:
    """librosa's MFCC (frames, n_mfcc) with the extractor's settings."""
    mel = librosa.feature.melspectrogram(
        y=clip,
        sr=extractor.sampling_rate,
        n_fft=extractor.n_fft,
        win_length=extractor.win_length,
        hop_length=extractor.hop_length,
        n_mels=extractor.n_mels,
        fmin=extractor.fmin,
        fmax=extractor.fmax,
    )
    decibels = librosa.power_to_db(mel, top_db=extractor.top_db)
    return librosa.feature.mfcc(S=decibels, n_mfcc=extractor.n_mfcc).T


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS.keys())
def test_mfcc_equal_librosa(settings):
    extractor = SERFeatureExtractor(**settings)
    batch = extractor(list(clips().values()), sampling_rate=SAMPLING_RATE, return_tensors="np")
    for index, (name, clip) in enumerate(clips().items()):
        reference = reference_mfcc(clip, extractor)
        frames = batch["attention_mask"][index].sum()
        assert frames == len(reference), name
        np.testing.assert_allclose(
            batch["input_features"][index, :frames], reference, atol=TOLERANCE_DB, rtol=0, err_msg=name
        )


def test_default_mfcc_equal_one_call_of_librosa():
    extractor = SERFeatureExtractor(n_mels=128, n_fft=2048, win_length=2048, hop_length=512, n_mfcc=20)
    clip = clips()["3 s"]
    ours = extractor(clip, sampling_rate=SAMPLING_RATE, return_tensors="np")["input_features"][0]
    np.testing.assert_allclose(ours, librosa.feature.mfcc(y=clip, sr=SAMPLING_RATE).T, atol=TOLERANCE_DB, rtol=0)


@pytest.mark.parametrize(("name", "order"), [("mfcc_delta", 1), ("mfcc_delta2", 2)])
def test_deltas_equal_librosa(name, order):
    extractor = SERFeatureExtractor(feature_names=[name])
    batch = extractor(list(clips().values()), sampling_rate=SAMPLING_RATE, return_tensors="np")
    for index, clip in enumerate(clips().values()):
        reference = librosa.feature.delta(reference_mfcc(clip, extractor), order=order, axis=0, mode="nearest")
        np.testing.assert_allclose(
            batch["input_features"][index, : len(reference)], reference, atol=TOLERANCE_DB, rtol=0
        )


def test_spectral_shape_is_that_of_the_mel_bands():
    """Checked against numpy and librosa, which take any magnitudes at any frequencies."""
    extractor = SERFeatureExtractor(feature_names=["log_mel", "spectral_shape"], db_reference="peak")
    for clip in clips().values():
        frames = extractor(clip, return_tensors="np")["input_features"][0].astype(np.float64)
        log_mel, shape = frames[:, :64], frames[:, 64:]
        magnitudes, centres = 10 ** (log_mel.T / 20), extractor.band_centres.numpy()[:, None]
        given = {"S": magnitudes, "freq": np.broadcast_to(centres, magnitudes.shape)}
        level = 10 * np.log10((magnitudes**2).mean(0))
        flux = np.sqrt((np.diff(log_mel, axis=0, prepend=log_mel[:1]) ** 2).mean(1))
        ranges = np.ptp(log_mel.reshape(-1, 8, 8), axis=2)
        centroid, bandwidth = librosa.feature.spectral_centroid, librosa.feature.spectral_bandwidth
        np.testing.assert_allclose(shape[:, 0], level, atol=1e-3)
        np.testing.assert_allclose(shape[:, 1], centroid(**given)[0] / 1000, atol=1e-3)
        np.testing.assert_allclose(shape[:, 2], bandwidth(**given)[0] / 1000, atol=1e-3)
        rolloff = librosa.feature.spectral_rolloff(**given)[0] / 1000
        assert (np.abs(shape[:, 3] - rolloff) < 1e-3).mean() > 0.99  # two bands may be equally near
        np.testing.assert_allclose(shape[:, 4], log_mel.mean(1) - level, atol=1e-3)
        np.testing.assert_allclose(shape[:, 5], flux, atol=1e-3)
        np.testing.assert_allclose(shape[:, 6:], ranges, atol=1e-3)


def test_peak_reference_ignores_the_gain():
    extractor = SERFeatureExtractor(feature_names=["mfcc", "log_mel"], db_reference="peak")
    clip = clips()["fading"]
    features = [extractor(gain * clip, return_tensors="pt").input_features for gain in (0.1, 1.0, 10.0)]
    for other in features[1:]:
        torch.testing.assert_close(other, features[0], atol=1e-2, rtol=0)


def test_features_stand_in_the_order_of_their_names():
    clip = clips()["tone"]
    both = SERFeatureExtractor(feature_names=["log_mel", "mfcc"], n_mels=32, n_mfcc=12)
    features = both(clip, return_tensors="pt").input_features
    assert both.feature_size == features.shape[-1] == 44
    mfcc = SERFeatureExtractor(n_mels=32, n_mfcc=12)(clip, return_tensors="pt").input_features
    torch.testing.assert_close(features[..., 32:], mfcc)


def test_neighbours_in_the_batch_change_nothing():
    extractor = SERFeatureExtractor(feature_names=["mfcc", "mfcc_delta", "mfcc_delta2"])
    together = extractor(list(clips().values()), return_tensors="pt")
    for index, clip in enumerate(clips().values()):
        alone = extractor(clip, return_tensors="pt").input_features[0]
        torch.testing.assert_close(together.input_features[index, : len(alone)], alone, atol=1e-4, rtol=0)
        assert not together.input_features[index, len(alone) :].any()


@pytest.mark.parametrize("kind", [np.asarray, torch.tensor, list], ids=["array", "tensor", "list"])
def test_accepts_arrays_tensors_and_lists(kind):
    clip = clips()["0.1 s"]
    extractor = SERFeatureExtractor()
    expected = extractor(clip, return_tensors="pt").input_features
    torch.testing.assert_close(extractor(kind(clip), return_tensors="pt").input_features, expected)
    torch.testing.assert_close(extractor([kind(clip)], return_tensors="pt").input_features, expected)


def test_padding_options():
    extractor = SERFeatureExtractor(padding_value=-7.0)
    two = [clips()["0.1 s"], clips()["tone"]]
    longest = extractor(two, return_tensors="pt")
    assert longest.input_features.shape == (2, 151, 40)
    assert longest.attention_mask.sum(1).tolist() == [11, 151]
    assert (longest.input_features[0, 11:] == -7).all()
    fixed = extractor(two, padding="max_length", max_length=100, truncation=True, return_tensors="np")
    assert fixed["input_features"].shape == (2, 100, 40)
    np.testing.assert_allclose(fixed["input_features"][0, :11], longest.input_features[0, :11])
    ragged = extractor(two, padding=False)
    assert [len(item) for item in ragged["input_features"]] == [11, 151]
    assert "attention_mask" not in extractor(two, return_attention_mask=False, return_tensors="pt")


@pytest.mark.parametrize(
    ("waveform", "message"),
    [
        (np.zeros((2, 1600), dtype=np.float32), "mono"),
        (np.zeros(0, dtype=np.float32), "empty"),
        ([], "empty"),
        (np.array([0.0, np.nan], dtype=np.float32), "NaN"),
        (np.array([0.0, np.inf], dtype=np.float32), "infinite"),
    ],
)
def test_bad_waveforms_are_named(waveform, message):
    with pytest.raises(ValueError, match=message):
        SERFeatureExtractor()(waveform)


def test_another_sampling_rate_says_how_to_resample():
    with pytest.raises(ValueError, match=r"44100.*resample"):
        SERFeatureExtractor()(np.zeros(1600, dtype=np.float32), sampling_rate=44100)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"feature_names": ["mfccs"]}, "mfccs"),
        ({"feature_names": []}, "feature_names"),
        ({"n_mfcc": 80}, "n_mels"),
        ({"win_length": 1024}, "n_fft"),
        ({"hop_length": 160.5}, "hop_length must be a whole number"),
        ({"feature_names": ["spectral_shape"], "n_mels": 5, "n_mfcc": 5}, "at least 8 mel bands"),
        ({"db_reference": "rms"}, "peak"),
    ],
)
def test_bad_settings_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        SERFeatureExtractor(**settings)


def test_survives_saving(tmp_path):
    extractor = SERFeatureExtractor(feature_names=["mfcc", "log_mel"], fmin=50.0, db_reference="peak")
    extractor.save_pretrained(tmp_path)
    loaded = SERFeatureExtractor.from_pretrained(tmp_path)
    assert loaded.to_dict() == extractor.to_dict()
    clip = clips()["tone"]
    torch.testing.assert_close(
        loaded(clip, return_tensors="pt").input_features, extractor(clip, return_tensors="pt").input_features
    )

"""Functionals are what their definitions say, whatever stands behind a clip's end, and for clips of any length."""

import numpy as np
import pytest
import torch
from huggingface_hub.errors import StrictDataclassError
from scipy import stats

from ser_model import SERConfig, SERFeatureExtractor, SERForAudioClassification
from ser_model.acoustics import F0_SIZE
from ser_model.configuration_ser import HEADS
from ser_model.functionals import (
    FARTHEST,
    LEAST_FAMILIARITY,
    MOMENTS,
    MOST_VOICED,
    PAIR_LAG,
    STEPS,
    VOICED_STEPS,
    Functionals,
    UtteranceNormalisation,
    by_track,
    by_track_size,
    confidence_factor,
    follow,
    functional_size,
    functionals_of,
    moments_over_time,
    pair_correlations,
    pitch_and_rhythm,
    track_count,
    without_correlations,
)
from train.augment.odd_clips import clips as odd_clips
from train.augment.voice import RATE, speech_like


MFCC = 5
EXTRACTOR = SERFeatureExtractor(["mfcc", "spectral_shape", "f0"], n_mfcc=MFCC, db_reference="peak")
ALL_HEADS = dict.fromkeys(HEADS, 1.0)
SETTINGS = {
    "feature_size": EXTRACTOR.feature_size,
    "lstm_sizes": [4],
    "functionals": True,
    "functional_mfcc": MFCC,
    "num_labels": 3,
}


def tracks_and_functionals(features, mask, *settings) -> tuple[torch.Tensor, torch.Tensor]:
    followed = follow(features, mask, *settings)
    return followed.tracks[:, : features.shape[1]], functionals_of(followed)


def of(*waveforms: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    batch = EXTRACTOR(list(waveforms), return_tensors="pt")
    return tracks_and_functionals(batch["input_features"], batch["attention_mask"].bool(), MFCC)


def test_sizes_agree():
    tracks, values = of(speech_like(1.0))
    assert tracks.shape == (1, 101, track_count(MFCC))
    assert values.shape == (1, functional_size(track_count(MFCC)))
    assert Functionals(MFCC).size == values.shape[1]


def test_moments_are_those_of_scipy():
    values = torch.from_numpy(np.random.default_rng(0).gamma(2.0, 10.0, (1, 400, 3))).float()
    (mean, deviation, skewness, kurtosis, slope, _), deviations = moments_over_time(values, torch.ones(1, 400, 1))
    columns = values[0].numpy()
    np.testing.assert_allclose(mean[0], columns.mean(0), rtol=1e-5)
    np.testing.assert_allclose(deviation[0], columns.std(0), rtol=1e-4)
    np.testing.assert_allclose(skewness[0], stats.skew(columns), rtol=1e-3)
    np.testing.assert_allclose(kurtosis[0], stats.kurtosis(columns, fisher=False), rtol=1e-3)
    expected = [np.corrcoef(np.arange(400), column)[0, 1] for column in columns.T]
    np.testing.assert_allclose(slope[0], expected, atol=1e-4)
    np.testing.assert_allclose(deviations[0], stats.zscore(columns), atol=1e-3)


def test_correlations_are_those_of_numpy():
    values = torch.randn(1, 300, 4, generator=torch.Generator().manual_seed(0))
    values[..., 1] += values[..., 0]
    valid = torch.ones(1, 300, 1)
    _, deviations = moments_over_time(values, valid)
    expected = np.corrcoef(values[0].numpy().T)[np.triu_indices(4, 1)]
    np.testing.assert_allclose(pair_correlations(deviations, valid)[0], expected, atol=1e-3)


def test_a_track_that_follows_another_one_is_found():
    """The level of a clip whose loudness swings is its own echo after a whole swing, and its opposite after a half."""
    times = np.arange(3 * RATE) / RATE
    carrier = np.random.default_rng(0).standard_normal(len(times))
    count, level = track_count(MFCC), MFCC  # the level is the first column behind the MFCC
    delayed = slice(-2 * 6 - VOICED_STEPS - count * count, -2 * 6 - VOICED_STEPS)
    for swing, sign in ((PAIR_LAG, 1), (2 * PAIR_LAG, -1)):
        loudness = 1.2 + np.sin(2 * np.pi * 100 / swing * times)
        _, values = of((0.1 * carrier * loudness).astype(np.float32))
        assert sign * values[0, delayed].view(count, count)[level, level] > 0.5


def test_a_voice_of_two_steps():
    """Three frames of a voice whose pitch rises by 0.1 and 0.15 octaves, and two of another stretch."""
    octaves = torch.tensor([0.0, 1.0, 1.1, 1.25, 0.0, 1.0, 1.0]).reshape(1, -1, 1)
    voiced, level = octaves > 0, torch.tensor([[0.0, 10.0, 11.0, 13.0, 0.0, 5.0, 5.0]])
    jitter, deviation, shimmer, share, rate, length, *_ = pitch_and_rhythm(octaves, voiced, level, level >= 0)[0]
    assert jitter == pytest.approx(0.25 / 3, rel=1e-5)
    assert deviation == pytest.approx(np.std([0.1, 0.15, 0.0]), rel=1e-4)
    assert shimmer == pytest.approx(1.0)
    assert (share, rate, length) == pytest.approx((5 / 7, 200 / 7, 2.5))


def test_one_step_is_its_own_mean():
    octaves = torch.tensor([0.0, 1.0, 1.125]).reshape(1, -1, 1)
    values = pitch_and_rhythm(
        octaves, octaves > 0, torch.tensor([[0.0, 1.0, 3.0]]), torch.ones(1, 3, dtype=torch.bool)
    )
    assert values[0, 0] == pytest.approx(0.125)
    assert values[0, 2] == pytest.approx(2.0)


def test_functionals_are_in_standard_deviations_from_their_means():
    features = EXTRACTOR(speech_like(1.0), return_tensors="pt")["input_features"]
    mask = torch.ones(features.shape[:2], dtype=torch.bool)
    functionals = Functionals(MFCC)
    functionals.mean.fill_(0.5)
    functionals.std.fill_(4.0)
    expected = ((tracks_and_functionals(features, mask, MFCC)[1] - 0.5) / 4.0).clamp(-FARTHEST, FARTHEST)
    torch.testing.assert_close(functionals(follow(features, mask, MFCC))[0], expected)


def test_padding_and_neighbours_change_nothing():
    waveforms = [*odd_clips().values(), speech_like(2.0), speech_like(0.1)]
    tracks, values = of(*waveforms)
    for index, waveform in enumerate(waveforms):
        alone_tracks, alone = of(waveform)
        frames = alone_tracks.shape[1]
        torch.testing.assert_close(values[index], alone[0], atol=2e-3, rtol=1e-3)
        torch.testing.assert_close(tracks[index, :frames], alone_tracks[0], atol=2e-3, rtol=1e-3)
        assert not tracks[index, frames:].any()


@pytest.mark.parametrize("samples", [1, 160, 700])
def test_the_shortest_clips_have_finite_functionals(samples):
    tracks, values = of(speech_like(1.0)[:samples])
    assert values.isfinite().all()
    assert tracks.isfinite().all()


def test_gain_changes_nothing():
    clip = speech_like(1.5)
    torch.testing.assert_close(of(clip)[1], of(0.1 * clip)[1], atol=5e-3, rtol=1e-3)


def test_a_network_learns_each_head_by_itself():
    config = SERConfig(**SETTINGS, heads={"sequence": 1, "functionals_linear": 1, "functionals": 1})
    model = SERForAudioClassification(config)
    inputs = EXTRACTOR([speech_like(1.0), speech_like(0.5, pitch=220)], return_tensors="pt")
    outputs = model.train()(**inputs, labels=torch.tensor([0, 2]))
    assert outputs.head_logits.shape == (3, 2, 3)
    torch.testing.assert_close(outputs.head_logits.mean(0), outputs.logits)
    outputs.loss.backward()
    for head in model.classifier.heads.values():
        assert head.output.weight.grad.abs().sum() > 0
    assert model.eval()(**inputs).head_logits is None


def test_descriptors_leave_correlations_out():
    """Once a delayed copy of one track stands for another, it reads the same as before, but for that track's own."""
    tracks = track_count(MFCC)
    values = of(speech_like(1.0))[1]
    own = by_track(values, tracks)
    assert torch.equal(own, values[:, without_correlations(tracks)])
    assert own.shape[1] == by_track_size(tracks)
    features = EXTRACTOR([speech_like(1.0)], return_tensors="pt")["input_features"]
    features[..., 1] = features[..., 0].roll(PAIR_LAG, 1)
    mask = torch.ones(features.shape[:2], dtype=torch.bool)
    changed = tracks_and_functionals(features, mask, MFCC)[1]
    kept = torch.ones(own.shape[1], dtype=torch.bool)
    kept[1 : (MOMENTS + STEPS) * tracks : tracks] = False
    torch.testing.assert_close(by_track(changed, tracks)[:, kept], own[:, kept], atol=1e-5, rtol=1e-5)
    assert (changed != values).sum() > tracks + (~kept).sum()


def test_a_network_reads_descriptors(tmp_path):
    torch.manual_seed(0)
    model = SERForAudioClassification(SERConfig(**SETTINGS, heads=ALL_HEADS))
    inputs = EXTRACTOR([speech_like(1.0), speech_like(0.5, pitch=220)], return_tensors="pt")
    outputs = model.train()(**inputs, labels=torch.tensor([0, 2]))
    assert outputs.head_logits.shape == (5, 2, 3)
    outputs.loss.backward()
    for name in ("descriptors", "descriptors_linear"):
        assert model.classifier.heads[name].output.weight.grad.abs().sum() > 0
    model.save_pretrained(tmp_path)
    loaded = SERForAudioClassification.from_pretrained(tmp_path)
    assert torch.equal(loaded(**inputs).logits, model.eval()(**inputs).logits)


def test_the_heads_have_weights():
    torch.manual_seed(0)
    heads = {"sequence": 2.5, "functionals_linear": 1, "functionals": 1}
    model = SERForAudioClassification(SERConfig(**SETTINGS, heads=heads))
    inputs = EXTRACTOR([speech_like(1.0), speech_like(0.5, pitch=220)], return_tensors="pt")
    outputs = model.train()(**inputs)
    sequence, linear, dense = outputs.head_logits
    torch.testing.assert_close(outputs.logits, (2.5 * sequence + linear + dense) / 4.5)
    evaluated = model.eval()(**inputs).logits
    encoded = model.ser(inputs["input_features"], inputs["attention_mask"])
    torch.testing.assert_close(model.classifier(encoded.pooler_output, encoded.functionals), evaluated)


@pytest.mark.parametrize(
    ("heads", "functionals", "message"),
    [
        ({"sequence": -1}, True, "must be positive"),
        ({"sequence": 1, "functionals": 1}, False, "read functionals: set functionals"),
        ({"functionals": 1}, True, "must have 'sequence'"),
        ({"sequence": 1, "feelings": 1}, True, "may have sequence, functionals, "),
    ],
)
def test_heads_that_cannot_be(heads, functionals, message):
    with pytest.raises(StrictDataclassError, match=message):
        SERConfig(**SETTINGS | {"functionals": functionals}, heads=heads)


def test_frames_without_the_features_are_refused():
    with pytest.raises(StrictDataclassError, match="spectral_shape and f0"):
        SERConfig(feature_size=13, functionals=True)


def test_what_lies_along_a_voice_direction_changes_nothing(tmp_path):
    torch.manual_seed(0)
    settings = {"feature_size": EXTRACTOR.feature_size, "lstm_sizes": [4], "functional_mfcc": MFCC}
    model = SERForAudioClassification(
        SERConfig(**settings, functionals=True, voice_directions=2, heads={"sequence": 1, "functionals": 1})
    ).eval()
    inputs = EXTRACTOR([speech_like(1.0), speech_like(0.7, pitch=220)], return_tensors="pt")
    functionals = model.ser.encoder.functionals
    size = functionals.size
    model.ser.set_functional_statistics(torch.zeros(size), torch.full((size,), 50.0))
    followed = model.ser.encoder.utterance_normalisation(inputs["input_features"], inputs["attention_mask"].bool())
    everything, _ = functionals(followed)
    directions = torch.linalg.qr(torch.stack([everything[0], torch.randn(size)]).T)[0].T
    model.ser.set_voice_directions(directions)
    rest, _ = functionals(followed)
    torch.testing.assert_close(rest[0], torch.zeros(size), atol=1e-4, rtol=0)
    assert rest[1].abs().max() > 0.1
    torch.testing.assert_close(rest @ directions.T, torch.zeros(2, 2), atol=1e-4, rtol=0)
    model.save_pretrained(tmp_path)
    loaded = SERForAudioClassification.from_pretrained(tmp_path).eval()
    assert torch.equal(loaded.ser.encoder.functionals.voice_directions, directions)
    assert torch.equal(loaded(**inputs).logits, model(**inputs).logits)


@pytest.mark.parametrize(("count", "message"), [(2, "set functionals"), (-1, "must be from 0 to")])
def test_voice_directions_that_cannot_be(count, message):
    with pytest.raises(StrictDataclassError, match=message):
        SERConfig(feature_size=13, voice_directions=count)


def test_half_precision_answers_as_float():
    torch.manual_seed(0)
    settings = {"feature_size": EXTRACTOR.feature_size, "lstm_sizes": [4], "functional_mfcc": MFCC}
    model = SERForAudioClassification(
        SERConfig(**settings, functionals=True, pitch_gate_db=25.0, heads=ALL_HEADS)
    ).eval()
    inputs = EXTRACTOR([speech_like(2.0)], return_tensors="pt")
    size = model.ser.encoder.functionals.size
    model.ser.set_functional_statistics(torch.zeros(size), torch.full((size,), 20.0))
    with torch.inference_mode():
        expected = model(**inputs).logits
        halved = model.half()(inputs["input_features"].half(), inputs["attention_mask"]).logits
    torch.testing.assert_close(halved.float(), expected, atol=0.05, rtol=0)


def test_autocast_leaves_functionals_as_they_are():
    torch.manual_seed(0)
    normalisation, functionals = UtteranceNormalisation(MFCC), Functionals(MFCC, voice_directions=2)
    functionals.voice_directions.copy_(torch.linalg.qr(torch.randn(functionals.size, 2))[0].T)
    inputs = EXTRACTOR([speech_like(1.0)], return_tensors="pt")
    features, mask = inputs["input_features"], inputs["attention_mask"].bool()
    plain = normalisation(features, mask)
    with torch.autocast("cpu", torch.bfloat16):
        cast = normalisation(features, mask)
        values = functionals(cast)
    assert torch.equal(plain.tracks, cast.tracks)
    for one, other in zip(functionals(plain), values, strict=True):
        assert torch.equal(one, other)


def test_faint_frames_may_go_without_pitch():
    """A buzz 40 dB below a voice has a pitch of its own, which counts without the gate alone."""
    times = np.arange(RATE) / RATE
    buzz = 0.001 * np.sign(np.sin(2 * np.pi * 400 * times)).astype(np.float32)
    batch = EXTRACTOR([np.concatenate([speech_like(1.0), buzz])], return_tensors="pt")
    mask = batch["attention_mask"].bool()
    voicing = track_count(MFCC) - 2
    shares = []
    for gate in (None, 25.0):
        tracks, _ = tracks_and_functionals(batch["input_features"], mask, MFCC, gate)
        shares.append(float((tracks[0, 110:190, voicing] > 0).float().mean()))
    assert shares[0] > 0.9
    assert shares[1] == 0


def test_familiarity_grows_with_the_voiced_seconds():
    torch.manual_seed(0)
    settings = {
        "feature_size": EXTRACTOR.feature_size,
        "lstm_sizes": [4],
        "functional_mfcc": MFCC,
        "functionals": True,
    }
    config = SERConfig(**settings, heads={"sequence": 1, "functionals": 1})
    plain = SERForAudioClassification(config).eval()
    config.familiarity_exponent = 0.5
    measured = SERForAudioClassification(config).eval()
    measured.load_state_dict(plain.state_dict())
    tone, silence = speech_like(1.2), np.zeros(16000, np.float32)
    clips = [tone[:3200], tone[:8000], np.concatenate([tone[:8000], silence]), np.tile(tone, 4)]
    inputs = EXTRACTOR(clips, return_tensors="pt")
    voiced = measured.ser(**inputs).voiced_seconds
    pitch = inputs["input_features"][..., -F0_SIZE] * inputs["attention_mask"]
    torch.testing.assert_close(voiced, (pitch > 0).sum(1) / 100)
    output = measured(**inputs)
    expected = voiced.clamp(max=MOST_VOICED) / MOST_VOICED
    torch.testing.assert_close(output.familiarity, expected)
    assert voiced[0] < voiced[1] < voiced[3]
    assert output.familiarity[3] == 1.0
    assert plain(**inputs).familiarity is None
    torch.testing.assert_close(output.logits, plain(**inputs).logits * expected.sqrt()[:, None])
    for clip, familiarity in zip(clips, output.familiarity, strict=True):  # padding changes nothing
        alone = measured(**EXTRACTOR(clip, return_tensors="pt")).familiarity
        torch.testing.assert_close(alone[0], familiarity)


def test_the_confidence_of_what_is_hardly_voiced_falls_no_further():
    factors = confidence_factor(torch.tensor([0.0, LEAST_FAMILIARITY, 0.25, 1.0]), 0.5)
    torch.testing.assert_close(factors, torch.tensor([LEAST_FAMILIARITY**0.5, LEAST_FAMILIARITY**0.5, 0.5, 1.0]))


def test_familiarity_needs_functionals():
    with pytest.raises(StrictDataclassError, match="set functionals"):
        SERConfig(familiarity_exponent=0.3)

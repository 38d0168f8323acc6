"""Augmentation of spectrograms changes what it says, and further features follow; losses of a batch."""

import functools
import math

import numpy as np
import pytest
import torch

from ser_model import SERFeatureExtractor
from train.augment.augmentation import Augmentation
from train.augment.voice import speech_like
from train.fit.loss import batch_loss


EXTRACTOR = SERFeatureExtractor(feature_names=["mfcc", "rms", "amplitude_envelope", "f0"])
BANDS = EXTRACTOR.band_centres


@pytest.fixture(scope="module")
def analysis() -> torch.Tensor:
    """Of two seconds of a voice, (frames, 64 + 4)."""
    return EXTRACTOR.analyse([torch.from_numpy(speech_like(2.0))])[0][0]


def changed(analysis: torch.Tensor, draws: int = 30, **strengths) -> list[torch.Tensor]:
    torch.manual_seed(0)
    return [Augmentation(**strengths)([analysis], BANDS)[0] for _ in range(draws)]


def test_nothing_changes_by_default(analysis):
    assert not Augmentation().is_active
    assert torch.equal(Augmentation()([analysis], BANDS)[0], analysis)


def test_speed_changes_the_number_of_frames(analysis):
    shares = [len(analysis) / len(result) for result in changed(analysis, speed=0.2)]
    assert 0.79 < min(shares) < 0.9
    assert 1.1 < max(shares) < 1.21


def test_crop_takes_a_part(analysis):
    for result in changed(analysis, crop=0.3):
        assert 0.69 * len(analysis) <= len(result) <= len(analysis)
        (start,) = [frame for frame in range(len(analysis)) if torch.equal(analysis[frame], result[0])]
        assert torch.equal(result, analysis[start : start + len(result)])
    assert len({len(result) for result in changed(analysis, crop=0.3)}) > 5


def test_vocal_tract_moves_a_peak_along_the_bands(analysis):
    peak = analysis.clone()
    peak[:, :64] = -50.0 - 0.002 * (BANDS - 2000.0).abs()
    factors = [float(BANDS[result[0, :64].argmax()]) / 2000.0 for result in changed(peak, vocal_tract=0.2)]
    assert 0.77 < min(factors) < 0.9
    assert 1.1 < max(factors) < 1.25


def test_masks_hide_stretches(analysis):
    for result in changed(analysis, time_masks=1, time_mask_frames=20):
        hidden = (result != analysis).all(1)
        assert hidden.sum() <= 20
        assert (hidden.int().diff() != 0).sum() <= 2
        torch.testing.assert_close(result[hidden, 64:], analysis[:, 64:].mean(0).expand(int(hidden.sum()), -1))
    for result in changed(analysis, frequency_masks=1, frequency_mask_bands=8):
        assert (result != analysis).all(0).sum() <= 8
        assert torch.equal(result[:, 64:], analysis[:, 64:])


def test_further_features_keep_to_their_frames(analysis):
    """Frames are chosen, never blended: half of a pitch and of silence is no pitch."""
    present = {tuple(row.tolist()) for row in analysis[:, 64:]}
    for result in changed(analysis, speed=0.2, crop=0.2, draws=5):
        assert {tuple(row.tolist()) for row in result[:, 64:]} <= present
        # Loud frames of the spectrogram are loud frames of the level still.
        energy = (result[:, :64] / 10 * np.log(10)).logsumexp(1)
        assert torch.corrcoef(torch.stack([energy, result[:, 64].log()]))[0, 1] > 0.9


def test_same_seed_same_spectrogram(analysis):
    strengths = {"speed": 0.1, "vocal_tract": 0.1, "tilt_db": 2.0, "time_masks": 2, "frequency_masks": 1}
    for one, other in zip(changed(analysis, **strengths), changed(analysis, **strengths), strict=True):
        assert torch.equal(one, other)


def test_loss_is_the_cross_entropy_over_the_labels_of_the_corpus():
    torch.manual_seed(0)
    logits, labels = torch.randn(4, 3), torch.tensor([0, 1, 2, 0])
    weight, allowed = torch.rand(4), torch.tensor([[True, True, True]] * 3 + [[True, False, True]])
    of_torch = functools.partial(torch.nn.functional.cross_entropy, reduction="none", label_smoothing=0.1)
    losses = torch.cat([of_torch(logits[:3], labels[:3]), of_torch(logits[3:, [0, 2]], labels[3:])])
    loss = batch_loss(logits, {"labels": labels, "allowed": allowed, "weight": weight}, 0.1)
    torch.testing.assert_close(loss, (losses * weight).sum() / weight.sum())


def test_how_frequent_labels_are_is_added_to_the_logits():
    """A network that says nothing pays for each label as if it knew how frequent that is."""
    logits, labels = torch.zeros(2, 3), torch.tensor([0, 2])
    shares = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]])
    batch = {"labels": labels, "log_prior": shares.log()}
    assert batch_loss(logits, batch).item() == pytest.approx(-(math.log(0.7) + math.log(0.6)) / 2)

"""The network: padding, order and neighbours change no logit; every architecture of the recipes can be built."""

import numpy as np
import pytest
import torch
from torch import nn

from ser_model import SERConfig, SERFeatureExtractor, SERForAudioClassification, SERModel
from ser_model.network_ser import MaskedLSTM, Pooling


LOGIT_TOLERANCE = 1e-5
LABELS = ["angry", "happy", "sad"]

ARCHITECTURES = {
    "two LSTM layers, last state": {"lstm_sizes": [16, 8], "dense_sizes": [12]},
    "bidirectional, last state": {"lstm_sizes": [16, 8], "lstm_bidirectional": True},
    "one LSTM, three dense layers": {"lstm_sizes": [16], "dense_sizes": [16, 8], "dense_dropout": 0.2},
    "no dense layer": {"lstm_sizes": [16], "dense_sizes": []},
    "attention": {"lstm_sizes": [16, 16], "lstm_residual": True, "pooling": "attention", "attention_heads": 2},
    "convolutions, bidirectional, attention": {
        "conv_channels": [12, 16],
        "conv_kernel_sizes": [5, 3],
        "conv_strides": [2, 2],
        "lstm_sizes": [8, 8],
        "lstm_bidirectional": True,
        "lstm_residual": True,
        "pooling": "attention",
        "attention_heads": 2,
    },
    "strides of three": {
        "conv_channels": [8],
        "conv_kernel_sizes": [3],
        "conv_strides": [3],
        "lstm_sizes": [8],
        "lstm_bidirectional": True,
    },
}


def build(**fields) -> SERForAudioClassification:
    """A random model whose weights are large enough for an error to show in the logits."""
    torch.manual_seed(0)
    config = SERConfig(
        feature_size=20, id2label=dict(enumerate(LABELS)), label2id={n: i for i, n in enumerate(LABELS)}, **fields
    )
    model = SERForAudioClassification(config)
    model.ser.set_feature_statistics(torch.randn(20), torch.rand(20) + 0.5)
    return model.eval()


def utterances() -> list[torch.Tensor]:
    """Features (frames, 20) of utterances of many lengths."""
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(frames, 20, generator=generator) for frames in (1, 2, 3, 4, 5, 7, 8, 31, 100, 257)]


def padded(items: list[torch.Tensor], extra: int = 0, value: float = 0.0) -> tuple[torch.Tensor, torch.Tensor]:
    """A batch and its mask; the padding holds `value`."""
    frames = max(len(item) for item in items) + extra
    features = torch.full((len(items), frames, items[0].shape[1]), value)
    mask = torch.zeros(len(items), frames, dtype=torch.int32)
    for index, item in enumerate(items):
        features[index, : len(item)] = item
        mask[index, : len(item)] = 1
    return features, mask


@pytest.fixture(params=ARCHITECTURES.values(), ids=ARCHITECTURES.keys())
def model(request):
    return build(**request.param)


@torch.inference_mode()
def test_padding_and_neighbours_change_no_logit(model):
    items = utterances()
    alone = torch.cat([model(item[None]).logits for item in items])
    for extra, value in ((0, 0.0), (1, 0.0), (50, 1e3)):
        together = model(*padded(items, extra, value)).logits
        torch.testing.assert_close(together, alone, atol=LOGIT_TOLERANCE, rtol=0)


@torch.inference_mode()
def test_order_of_the_batch_changes_no_logit(model):
    items = utterances()
    order = torch.randperm(len(items), generator=torch.Generator().manual_seed(2))
    shuffled = model(*padded([items[index] for index in order])).logits
    torch.testing.assert_close(shuffled, model(*padded(items)).logits[order], atol=LOGIT_TOLERANCE, rtol=0)


def test_padding_gets_no_gradient(model):
    features, mask = padded(utterances(), extra=5)
    features.requires_grad_()
    model(features, mask).logits.sum().backward()
    assert features.grad[mask == 0].abs().max() == 0
    assert features.grad[mask == 1].abs().max() > 0


def test_bidirectional_layer_equals_packed_lstm():
    torch.manual_seed(0)
    layer = MaskedLSTM(20, 16, bidirectional=True, residual=False, dropout=0.0)
    reference = nn.LSTM(20, 16, bidirectional=True, batch_first=True)
    for name, parameter in layer.forward_lstm.named_parameters():
        getattr(reference, name).data.copy_(parameter)
    for name, parameter in layer.backward_lstm.named_parameters():
        getattr(reference, f"{name}_reverse").data.copy_(parameter)
    features, mask = padded(utterances())
    packed = nn.utils.rnn.pack_padded_sequence(features, mask.sum(1), batch_first=True, enforce_sorted=False)
    expected = nn.utils.rnn.pad_packed_sequence(reference(packed)[0], batch_first=True)[0]
    torch.testing.assert_close(layer(features, mask.bool()), expected, atol=1e-6, rtol=0)


def test_feature_dropout_takes_whole_features_in_training_alone():
    """The features that an utterance is left with are the same from the first frame to the last."""
    torch.manual_seed(0)
    encoder = SERForAudioClassification(SERConfig(feature_size=6, feature_dropout=0.5)).ser.encoder
    read = []
    encoder.lstm_layers[0].register_forward_pre_hook(lambda _, inputs: read.append(inputs[0]))
    features = torch.ones(20, 5, 6)
    encoder.train()(features)
    encoder.eval()(features)
    in_training, in_evaluation = read
    torch.testing.assert_close(in_training, in_training[:, :1].expand(-1, 5, -1))
    assert set(in_training.unique().tolist()) == {0.0, 2.0}
    assert torch.equal(in_evaluation, features)


def test_last_pooling_takes_the_state_after_the_whole_utterance():
    model = build(lstm_sizes=[8], lstm_bidirectional=True)
    item = utterances()[4]
    changed = item.clone()
    changed[len(item) // 2] += 1
    output, other = model.ser(item[None]), model.ser(changed[None])
    torch.testing.assert_close(output.pooler_output[0, :8], output.last_hidden_state[0, -1, :8])
    torch.testing.assert_close(output.pooler_output[0, 8:], output.last_hidden_state[0, 0, 8:])
    assert ((output.pooler_output - other.pooler_output).abs() > 0).all()


def test_attention_is_a_distribution_over_valid_frames():
    model = build(**ARCHITECTURES["convolutions, bidirectional, attention"])
    features, mask = padded(utterances())
    output = model(features, mask, output_attentions=True, output_hidden_states=True)
    (attentions,) = output.attentions
    frames = -(-mask.shape[1] // 4)
    assert attentions.shape == (len(features), 2, frames)
    torch.testing.assert_close(attentions.sum(-1), torch.ones(len(features), 2))
    assert (attentions[0, :, 1:] == 0).all()
    assert [states.shape[1] for states in output.hidden_states] == [129, frames, frames, frames]


def test_temperature_divides_the_logits():
    features, mask = padded(utterances())
    warm, cold = build(temperature=2.0), build()
    torch.testing.assert_close(warm(features, mask).logits * 2, cold(features, mask).logits)


def test_new_model_has_safe_statistics_and_open_forget_gates():
    model = SERForAudioClassification(SERConfig(feature_size=20, lstm_sizes=[8]))
    assert (model.ser.encoder.feature_mean == 0).all()
    assert (model.ser.encoder.feature_std == 1).all()
    bias = model.ser.encoder.lstm_layers[0].forward_lstm.bias_ih_l0
    assert bias.tolist() == [0] * 8 + [1] * 8 + [0] * 16


def test_missing_statistics_come_back_neutral(tmp_path):
    """A checkpoint of the encoder without its buffers must not be filled with whatever was in memory."""
    model = build()
    state = {name: value for name, value in model.state_dict().items() if "feature_" not in name}
    model.save_pretrained(tmp_path, state_dict=state)
    loaded = SERForAudioClassification.from_pretrained(tmp_path)
    assert (loaded.ser.encoder.feature_mean == 0).all()
    assert (loaded.ser.encoder.feature_std == 1).all()


def test_loss_is_the_cross_entropy():
    model = build()
    features, mask = padded(utterances())
    labels = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1, 2, 0])
    output = model(features, mask, labels=labels)
    torch.testing.assert_close(output.loss, nn.functional.cross_entropy(output.logits, labels))


def test_saves_and_loads(tmp_path, model):
    model.save_pretrained(tmp_path)
    loaded, info = SERForAudioClassification.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(info[name] for name in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    features, mask = padded(utterances())
    assert torch.equal(loaded.eval()(features, mask).logits, model(features, mask).logits)
    encoder, info = SERModel.from_pretrained(tmp_path, output_loading_info=True)
    assert not info["missing_keys"]
    assert torch.equal(encoder.eval()(features, mask).pooler_output, model.ser(features, mask).pooler_output)


def test_same_seed_same_model():
    def weights() -> list[torch.Tensor]:
        return list(build().state_dict().values())

    assert all(torch.equal(one, other) for one, other in zip(weights(), weights(), strict=True))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"pooling": "max"}, "last, attention"),
        ({"lstm_sizes": []}, "lstm_sizes"),
        ({"conv_channels": [8]}, "conv_kernel_sizes"),
        ({"conv_channels": [8], "conv_kernel_sizes": [4], "conv_strides": [1]}, "odd"),
        ({"temperature": 0}, "positive"),
    ],
)
def test_bad_configurations_are_named(fields, message):
    with pytest.raises(Exception, match=message):
        SERConfig(**fields)


def test_real_waveforms_through_the_extractor():
    """Lengths that are no multiple of the hop, in one batch and one by one."""
    extractor = SERFeatureExtractor(n_mfcc=20)
    model = build(**ARCHITECTURES["convolutions, bidirectional, attention"])
    generator = np.random.default_rng(0)
    clips = [generator.normal(0, 0.1, samples).astype(np.float32) for samples in (1600, 16001, 40000, 48123)]
    with torch.inference_mode():
        together = model(**extractor(clips, return_tensors="pt")).logits
        alone = torch.cat([model(**extractor(clip, return_tensors="pt")).logits for clip in clips])
    torch.testing.assert_close(together, alone, atol=LOGIT_TOLERANCE, rtol=0)


def test_attention_pools_means_of_each_head():
    """Attention that is the same everywhere gives those of the valid frames."""
    config = SERConfig(feature_size=3, lstm_sizes=[3], pooling="attention", attention_heads=2)
    pooling = Pooling(config, 3)
    nn.init.zeros_(pooling.scores.weight)
    nn.init.zeros_(pooling.scores.bias)
    states, mask = padded([torch.randn(50, 3)], extra=9, value=7.0)
    pooled, attentions = pooling(states, mask.bool())
    torch.testing.assert_close(pooled[0], states[0, :50].mean(0).repeat(2), atol=1e-4, rtol=0)
    torch.testing.assert_close(attentions.sum(-1), torch.ones(1, 2))

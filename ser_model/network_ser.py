"""The network in plain torch: convolutions > LSTM > pooling over time > dense > logits, and functionals > logits.

`modeling_ser` wraps it for transformers; the recogniser runs it as it is, because importing transformers' modelling
code takes longer than everything else that a prediction does.
Padding changes nothing: each layer sets the frames behind an item's end to zero, and pooling leaves them out.
"""

from typing import NamedTuple

import torch
from torch import nn

from .configuration_ser import SERConfig
from .functionals import Functionals, by_track, by_track_size, track_count


class EncoderOutput(NamedTuple):
    """What the encoder hands on. `frames` are counted after the convolutions' strides.

    last_hidden_state: (batch, frames, units).
    pooled: the utterance, (batch, pooled units): its LSTM states pooled, then its functionals if any.
    attentions: weight of each frame, (batch, heads, frames), or None without attention.
    hidden_states: the output of each convolution and LSTM layer.
    """

    last_hidden_state: torch.Tensor
    pooled: torch.Tensor
    attentions: torch.Tensor | None
    hidden_states: tuple[torch.Tensor, ...]


class MaskedConvolution(nn.Module):
    """Convolution > layer norm > GELU > dropout; (batch, frames, in) -> (batch, ceil(frames / stride), out)."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int, dropout: float):
        super().__init__()
        self.convolution = nn.Conv1d(in_channels, out_channels, kernel_size, stride, padding=kernel_size // 2)
        self.layer_norm = nn.LayerNorm(out_channels)
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden_states: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        hidden_states = self.convolution(hidden_states.transpose(1, 2)).transpose(1, 2)
        mask = mask[:, :: self.convolution.stride[0]]
        hidden_states = nn.functional.gelu(self.layer_norm(hidden_states))
        return self.dropout(hidden_states) * mask[..., None], mask


class MaskedLSTM(nn.Module):
    """One LSTM layer over padded items, exact in both directions; (batch, frames, in) -> (batch, frames, units).

    The backward direction is a second LSTM that reads each item's valid frames in reverse. That equals
    `pack_padded_sequence` with a bidirectional `nn.LSTM`, trains 3.5 times faster on a CPU and can be exported.
    """

    def __init__(self, input_size: int, hidden_size: int, bidirectional: bool, residual: bool, dropout: float):
        super().__init__()
        self.forward_lstm = nn.LSTM(input_size, hidden_size, batch_first=True)
        self.backward_lstm = nn.LSTM(input_size, hidden_size, batch_first=True) if bidirectional else None
        self.output_size = hidden_size * (2 if bidirectional else 1)
        self.residual = residual and input_size == self.output_size
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden_states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        output = self.forward_lstm(hidden_states)[0]
        if self.backward_lstm is not None:
            reversal = reversed_positions(mask)
            backward = take_frames(self.backward_lstm(take_frames(hidden_states, reversal))[0], reversal)
            output = torch.cat([output, backward], dim=-1)
        if self.residual:
            output = output + hidden_states
        return self.dropout(output) * mask[..., None]


def reversed_positions(mask: torch.Tensor) -> torch.Tensor:
    """Positions (batch, frames) that reverse each item's valid frames and leave its padding in place."""
    positions = torch.arange(mask.shape[1], device=mask.device).expand(mask.shape)
    return torch.where(mask, mask.sum(1, keepdim=True) - 1 - positions, positions)


def take_frames(hidden_states: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """Frames of (batch, frames, units) at `positions` (batch, n) -> (batch, n, units)."""
    return hidden_states.gather(1, positions[..., None].expand(-1, -1, hidden_states.shape[-1]))


class Pooling(nn.Module):
    """One vector for each utterance, (batch, output_size), from (batch, frames, units); and the attention if any."""

    def __init__(self, config: SERConfig, input_size: int):
        super().__init__()
        self.kind = config.pooling
        self.bidirectional = config.lstm_bidirectional
        self.output_size = input_size
        if self.kind.startswith("attention"):
            self.projection = nn.Linear(input_size, input_size)
            self.scores = nn.Linear(input_size, config.attention_heads)
            moments = 2 if self.kind == "attention_statistics" else 1
            self.output_size = input_size * config.attention_heads * moments

    def forward(self, hidden_states: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        if self.kind == "last":
            return self.last_state(hidden_states, mask), None
        if self.kind == "mean":
            return hidden_states.sum(1) / mask.sum(1, keepdim=True), None
        return self.attend(hidden_states, mask)

    def last_state(self, hidden_states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """The state of each direction once it has read the whole item: the last frame, backward the first one."""
        last = take_frames(hidden_states, mask.sum(1, keepdim=True) - 1)[:, 0]
        if not self.bidirectional:
            return last
        units = hidden_states.shape[-1] // 2
        return torch.cat([last[:, :units], hidden_states[:, 0, units:]], dim=-1)

    def attend(self, hidden_states: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        scores = self.scores(torch.tanh(self.projection(hidden_states))).transpose(1, 2)
        scores = scores.masked_fill(~mask[:, None], torch.finfo(scores.dtype).min)
        attentions = scores.softmax(-1)
        means = attentions @ hidden_states
        if self.kind == "attention":
            return means.flatten(1), attentions
        variances = attentions @ hidden_states.square() - means.square()
        deviations = variances.clamp(min=1e-5).sqrt()
        return torch.cat([means, deviations], dim=1).flatten(1), attentions


class SEREncoder(nn.Module):
    """Normalised features > convolutions > LSTM layers > pooling. The statistics are part of the weights.

    With functionals the sequence is normalised within the utterance, and its functionals stand beside what is pooled.
    """

    def __init__(self, config: SERConfig):
        super().__init__()
        self.register_buffer("feature_mean", torch.zeros(config.feature_size))
        self.register_buffer("feature_std", torch.ones(config.feature_size))
        settings = config.functional_mfcc, config.pitch_gate_db, config.voice_directions, config.functionals_by_track
        self.functionals = Functionals(*settings) if config.functionals else None
        size = config.feature_size if self.functionals is None else track_count(config.functional_mfcc)
        self.feature_dropout = nn.Dropout1d(config.feature_dropout)
        self.convolutions = nn.ModuleList()
        for channels, kernel_size, stride in zip(
            config.conv_channels, config.conv_kernel_sizes, config.conv_strides, strict=True
        ):
            self.convolutions.append(MaskedConvolution(size, channels, kernel_size, stride, config.conv_dropout))
            size = channels
        self.lstm_layers = nn.ModuleList()
        for units in config.lstm_sizes:
            layer = MaskedLSTM(size, units, config.lstm_bidirectional, config.lstm_residual, config.lstm_dropout)
            self.lstm_layers.append(layer)
            size = layer.output_size
        self.pooling = Pooling(config, size)
        self.output_size = self.pooling.output_size + (0 if self.functionals is None else self.functionals.size)

    def forward(self, input_features: torch.Tensor, attention_mask: torch.Tensor | None = None) -> EncoderOutput:
        """Encode features (batch, frames, feature_size); `attention_mask` (batch, frames) is 1 at valid frames."""
        if attention_mask is None:
            attention_mask = torch.ones(input_features.shape[:2], device=input_features.device)
        mask = attention_mask.bool()
        beside, collected = [], []
        if self.functionals is None:
            hidden_states = (input_features - self.feature_mean) / self.feature_std * mask[..., None]
        else:
            hidden_states, functionals = self.functionals(input_features, mask)
            beside.append(functionals)
        hidden_states = self.feature_dropout(hidden_states.transpose(1, 2)).transpose(1, 2)
        for convolution in self.convolutions:
            hidden_states, mask = convolution(hidden_states, mask)
            collected.append(hidden_states)
        for layer in self.lstm_layers:
            hidden_states = layer(hidden_states, mask)
            collected.append(hidden_states)
        pooled, attentions = self.pooling(hidden_states, mask)
        utterance = torch.cat([pooled, *beside], -1)
        return EncoderOutput(hidden_states, utterance, attentions, tuple(collected))


class FunctionalClassifier(nn.Module):
    """Logits (batch, labels) of functionals (batch, functionals), twice: by a linear layer, and by a dense ReLU layer.

    The linear one generalises from a few voices, the dense one gains by many; see train/EXPERIMENTS.md.
    """

    def __init__(self, config: SERConfig, input_size: int):
        super().__init__()
        self.dropout = nn.Dropout(config.functional_dropout)
        self.linear = nn.Linear(input_size, config.num_labels)
        self.dense = nn.Linear(input_size, config.functional_dense_size)
        self.layer_norm = nn.LayerNorm(config.functional_dense_size)
        self.output = nn.Linear(config.functional_dense_size, config.num_labels)

    def forward(self, functionals: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        hidden = nn.functional.relu(self.layer_norm(self.dense(self.dropout(functionals))))
        return self.linear(self.dropout(functionals)), self.output(self.dropout(hidden))


class SERClassifier(nn.Module):
    """Logits (batch, labels) of utterances (batch, pooled units), as the encoder gives them.

    Pooled LSTM states > dense ReLU layers > logits, and where there are functionals > logits of these. Their mean, in
    which the LSTM's count `lstm_weight` times, is divided by the temperature.
    """

    def __init__(self, config: SERConfig, encoder: SEREncoder):
        super().__init__()
        self.sequence_size = input_size = encoder.pooling.output_size
        self.dense_layers = nn.ModuleList()
        for units in config.dense_sizes:
            self.dense_layers.append(nn.Linear(input_size, units))
            input_size = units
        self.dropout = nn.Dropout(config.dense_dropout)
        self.output = nn.Linear(input_size, config.num_labels)
        functionals, self.tracks = encoder.functionals, track_count(config.functional_mfcc)
        self.functional = None if functionals is None else FunctionalClassifier(config, functionals.size)
        self.by_track = None
        if config.functionals_by_track:
            self.by_track = FunctionalClassifier(config, by_track_size(self.tracks))
        self.lstm_weight = config.lstm_weight
        self.temperature = config.temperature

    def forward(self, pooled: torch.Tensor) -> torch.Tensor:
        return self.mean_of_parts(self.part_logits(pooled))

    def mean_of_parts(self, parts: torch.Tensor) -> torch.Tensor:
        """Logits (batch, labels) of [`part_logits`], of which the LSTM's are the first."""
        more = self.lstm_weight - 1
        return (parts.sum(0) + more * parts[0]) / (len(parts) + more)

    def part_logits(self, pooled: torch.Tensor) -> torch.Tensor:
        """
        Logits of each part, (parts, batch, labels).

        Of the LSTM, of the functionals' linear and dense layer, and of those that read them without correlations.
        """
        hidden = pooled[:, : self.sequence_size]
        for dense in self.dense_layers:
            hidden = self.dropout(nn.functional.relu(dense(hidden)))
        parts = [self.output(hidden)]
        if self.functional is not None:
            parts += self.functional(pooled[:, self.sequence_size :])
        if self.by_track is not None:
            parts += self.by_track(by_track(pooled[:, self.sequence_size :], self.tracks))
        return torch.stack(parts) / self.temperature


class SERNetworkOutput(NamedTuple):
    """What the network gives.

    logits: (batch, labels), divided by the temperature.
    encoded: what the encoder made of the features.
    familiarity: how much each utterance resembles the training speech, 0 to 1, (batch,), where it is measured.
    """

    logits: torch.Tensor
    encoded: EncoderOutput
    familiarity: torch.Tensor | None = None


class SERNetwork(nn.Module):
    """Encoder and classifier, for inference without transformers' modelling code."""

    def __init__(self, config: SERConfig):
        super().__init__()
        self.encoder = SEREncoder(config)
        self.classifier = SERClassifier(config, self.encoder)

    def forward(self, input_features: torch.Tensor, attention_mask: torch.Tensor | None = None) -> SERNetworkOutput:
        """Classify features (batch, frames, feature_size); `attention_mask` (batch, frames) is 1 at valid frames."""
        encoded = self.encoder(input_features, attention_mask)
        return SERNetworkOutput(self.classifier(encoded.pooled), encoded)

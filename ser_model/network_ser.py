"""The network in plain torch: convolutions > LSTM > pooling over time > dense > logits, and functionals > logits.

`modeling_ser` wraps it for transformers; the recogniser runs it as it is, because importing transformers' modelling
code takes longer than everything else that a prediction does.
Padding changes nothing: each layer sets the frames behind an item's end to zero, and pooling leaves them out.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn

from .configuration_ser import HEADS, SERConfig
from .functionals import (
    Functionals,
    UtteranceNormalisation,
    by_track,
    by_track_size,
    confidence_factor,
    familiarity,
    track_count,
)


def reads_descriptors(config: SERConfig) -> bool:
    """True if a head reads descriptors."""
    return any(HEADS[name][0] == "descriptors" for name in config.heads)


class EncoderOutput(NamedTuple):
    """Output of the encoder. `frames` are counted after the convolutions' strides.

    last_hidden_state: (batch, frames, units).
    sequence: the utterance as its LSTM states pooled, (batch, pooled units).
    functionals: of the utterance, (batch, functionals), or None.
    voiced_seconds: how long a voice is heard, (batch,), or None without functionals.
    attentions: weight of each frame, (batch, heads, frames), or None without attention.
    hidden_states: the output of each convolution and LSTM layer.
    """

    last_hidden_state: torch.Tensor
    sequence: torch.Tensor
    functionals: torch.Tensor | None
    voiced_seconds: torch.Tensor | None
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
        if self.kind == "attention":
            self.projection = nn.Linear(input_size, input_size)
            self.scores = nn.Linear(input_size, config.attention_heads)
            self.output_size = input_size * config.attention_heads

    def forward(self, hidden_states: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        if self.kind == "last":
            return self.last_state(hidden_states, mask), None
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
        return (attentions @ hidden_states).flatten(1), attentions


class SEREncoder(nn.Module):
    """Normalised features > convolutions > LSTM layers > pooling. The statistics are part of the weights.

    With functionals the sequence is normalised within the utterance, and its functionals stand beside what is pooled.
    """

    def __init__(self, config: SERConfig):
        super().__init__()
        self.register_buffer("feature_mean", torch.zeros(config.feature_size))
        self.register_buffer("feature_std", torch.ones(config.feature_size))
        self.utterance_normalisation = self.functionals = None
        if config.functionals:
            self.utterance_normalisation = UtteranceNormalisation(config.functional_mfcc, config.pitch_gate_db)
            self.functionals = Functionals(config.functional_mfcc, config.voice_directions, reads_descriptors(config))
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

    def forward(self, input_features: torch.Tensor, attention_mask: torch.Tensor | None = None) -> EncoderOutput:
        """Encode features (batch, frames, feature_size); `attention_mask` (batch, frames) is 1 at valid frames."""
        if attention_mask is None:
            attention_mask = torch.ones(input_features.shape[:2], device=input_features.device)
        mask = attention_mask.bool()
        functionals = voiced_seconds = None
        collected = []
        if self.functionals is None:
            hidden_states = (input_features - self.feature_mean) / self.feature_std * mask[..., None]
        else:
            followed = self.utterance_normalisation(input_features, mask)
            functionals, voiced_seconds = self.functionals(followed)
            hidden_states = followed.tracks[:, : mask.shape[1]].to(functionals.dtype)
        hidden_states = self.feature_dropout(hidden_states.transpose(1, 2)).transpose(1, 2)
        for convolution in self.convolutions:
            hidden_states, mask = convolution(hidden_states, mask)
            collected.append(hidden_states)
        for layer in self.lstm_layers:
            hidden_states = layer(hidden_states, mask)
            collected.append(hidden_states)
        pooled, attentions = self.pooling(hidden_states, mask)
        return EncoderOutput(hidden_states, pooled, functionals, voiced_seconds, attentions, tuple(collected))


class Head(nn.Module):
    """Logits (batch, labels) of what it reads, (batch, input_size): dropout > dense ReLU layers > linear."""

    def __init__(self, input_size: int, dense_sizes: Sequence[int], num_labels: int, dropout: float):
        super().__init__()
        self.dense_layers = nn.ModuleList()
        for units in dense_sizes:
            self.dense_layers.append(nn.Linear(input_size, units))
            input_size = units
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(input_size, num_labels)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        for dense in self.dense_layers:
            hidden = self.dropout(nn.functional.relu(dense(hidden)))
        return self.output(hidden)


class FunctionalHead(nn.Module):
    """Logits (batch, labels) of functionals (batch, input_size): dropout > a dense ReLU layer, if any > linear.

    A linear head generalises from a few voices, a dense one gains by many; see train/EXPERIMENTS.md.
    """

    def __init__(self, input_size: int, dense_size: int | None, num_labels: int, dropout: float):
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.dense = self.layer_norm = None
        if dense_size is not None:
            self.dense = nn.Linear(input_size, dense_size)
            self.layer_norm = nn.LayerNorm(dense_size)
        self.output = nn.Linear(dense_size or input_size, num_labels)

    def forward(self, functionals: torch.Tensor) -> torch.Tensor:
        hidden = functionals
        if self.dense is not None:
            hidden = nn.functional.relu(self.layer_norm(self.dense(self.dropout(hidden))))
        return self.output(self.dropout(hidden))


class SERClassifier(nn.Module):
    """Logits (batch, labels) of what the encoder makes of utterances.

    They are the weighted mean of those of the heads, divided by the temperature, and multiplied by a power of the
    familiarity.
    """

    def __init__(self, config: SERConfig, encoder: SEREncoder):
        super().__init__()
        self.tracks = track_count(config.functional_mfcc)
        sizes = {"descriptors": by_track_size(self.tracks)}
        if encoder.functionals is not None:
            sizes["functionals"] = encoder.functionals.size
        self.heads = nn.ModuleDict()
        for name, (reads, has_dense) in HEADS.items():  # in one order, whatever that of a JSON file
            if name not in config.heads:
                continue
            if reads == "sequence":
                size = encoder.pooling.output_size
                head = Head(size, config.dense_sizes, config.num_labels, config.dense_dropout)
            else:
                dense_size = config.functional_dense_size if has_dense else None
                head = FunctionalHead(sizes[reads], dense_size, config.num_labels, config.functional_dropout)
            self.heads[name] = head
        total = sum(config.heads.values())
        self.weights = [config.heads[name] / total for name in self.heads]
        self.temperature = config.temperature
        self.familiarity_exponent = config.familiarity_exponent

    def forward(
        self,
        sequence: torch.Tensor,
        functionals: torch.Tensor | None = None,
        voiced_seconds: torch.Tensor | None = None,
    ) -> torch.Tensor:
        logits = self.head_logits(sequence, functionals)
        return self.mean_of_heads(logits, self.familiarity(voiced_seconds))

    def familiarity(self, voiced_seconds: torch.Tensor | None) -> torch.Tensor | None:
        """How much voice there is to go by, 0 to 1, (batch,); None where the confidence does not follow it."""
        return familiarity(voiced_seconds) if self.familiarity_exponent else None

    def mean_of_heads(self, logits: torch.Tensor, familiarity: torch.Tensor | None = None) -> torch.Tensor:
        """Logits (batch, labels) of [`head_logits`]."""
        mean = (logits * logits.new_tensor(self.weights)[:, None, None]).sum(0)
        if familiarity is None:
            return mean
        return mean * confidence_factor(familiarity, self.familiarity_exponent)[:, None].to(mean.dtype)

    def head_logits(self, sequence: torch.Tensor, functionals: torch.Tensor | None = None) -> torch.Tensor:
        """Logits of each head, (heads, batch, labels), in the order of `HEADS`; of [`EncoderOutput`]'s fields."""
        inputs = {"sequence": sequence, "functionals": functionals}
        if functionals is not None:
            inputs["descriptors"] = by_track(functionals, self.tracks)
        logits = [head(inputs[HEADS[name][0]]) for name, head in self.heads.items()]
        return torch.stack(logits) / self.temperature


class SERNetworkOutput(NamedTuple):
    """Output of the network.

    logits: (batch, labels), divided by the temperature, multiplied by a power of the familiarity.
    encoded: what the encoder made of the features.
    familiarity: how much voice there is to go by, 0 to 1, (batch,); None where the confidence does not follow it.
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
        logits = self.classifier(encoded.sequence, encoded.functionals, encoded.voiced_seconds)
        return SERNetworkOutput(logits, encoded, self.classifier.familiarity(encoded.voiced_seconds))

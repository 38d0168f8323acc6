"""The network as transformers models: SERModel (the encoder) and SERForAudioClassification (with its classifier)."""

from dataclasses import dataclass

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import ModelOutput, SequenceClassifierOutput

from .configuration_ser import SERConfig
from .functionals import Functionals
from .network_ser import SERClassifier, SEREncoder


@dataclass
class SERModelOutput(ModelOutput):
    """Output of [`SERModel`]; `frames` are counted after the convolutions' strides.

    Args:
        last_hidden_state: output of the last LSTM layer, (batch, frames, units).
        pooler_output: the LSTM's states, pooled over the utterance, (batch, pooled units).
        functionals: of the utterance, (batch, functionals), if the network reads them.
        voiced_seconds: how long a voice is heard, (batch,), likewise.
        hidden_states: output of each convolution and LSTM layer, with `output_hidden_states=True`.
        attentions: one tensor (batch, heads, frames), with `output_attentions=True` and attention pooling.
    """

    last_hidden_state: torch.FloatTensor | None = None
    pooler_output: torch.FloatTensor | None = None
    functionals: torch.FloatTensor | None = None
    voiced_seconds: torch.FloatTensor | None = None
    hidden_states: tuple[torch.FloatTensor, ...] | None = None
    attentions: tuple[torch.FloatTensor, ...] | None = None


@dataclass
class SERClassifierOutput(SequenceClassifierOutput):
    """Output of [`SERForAudioClassification`].

    Args:
        loss: of `labels`.
        logits: (batch, labels), divided by the temperature, multiplied by a power of the familiarity.
        hidden_states, attentions: as in [`SERModelOutput`].
        familiarity: how much voice there is to go by, 0 to 1, (batch,); None where the confidence does not follow it.
        head_logits: of each head, (heads, batch, labels), while training; each is to learn by itself.
    """

    head_logits: torch.FloatTensor | None = None
    familiarity: torch.FloatTensor | None = None


class SERPreTrainedModel(PreTrainedModel):
    """Weight initialisation and loading."""

    config_class = SERConfig
    base_model_prefix = "ser"
    main_input_name = "input_features"

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.LSTM):
            self._init_lstm(module)
        elif isinstance(module, nn.Linear | nn.Conv1d):
            init.xavier_uniform_(module.weight)
            init.zeros_(module.bias)
        elif isinstance(module, nn.LayerNorm):
            init.ones_(module.weight)
            init.zeros_(module.bias)
        elif isinstance(module, SEREncoder):
            init.zeros_(module.feature_mean)
            init.ones_(module.feature_std)
        elif isinstance(module, Functionals):
            init.zeros_(module.mean)
            init.ones_(module.std)
            if module.voice_directions is not None:
                init.zeros_(module.voice_directions)

    def _init_lstm(self, lstm: nn.LSTM) -> None:
        """Xavier input weights, orthogonal recurrent weights and a forget-gate bias of 1 (Jozefowicz et al. 2015)."""
        # Whole parameters are copied, because transformers marks those already loaded; a slice of one has no mark.
        units = lstm.hidden_size
        recurrent = torch.cat([nn.init.orthogonal_(torch.empty(units, units)) for _ in range(4)])
        bias = torch.zeros(4 * units)
        bias[units : 2 * units] = 1.0
        init.xavier_uniform_(lstm.weight_ih_l0)
        init.copy_(lstm.weight_hh_l0, recurrent)
        init.copy_(lstm.bias_ih_l0, bias)
        init.zeros_(lstm.bias_hh_l0)


class SERModel(SERPreTrainedModel):
    """The encoder: features of an utterance in, one vector for the utterance out."""

    def __init__(self, config: SERConfig):
        super().__init__(config)
        self.encoder = SEREncoder(config)
        self.post_init()

    def set_feature_statistics(self, mean: torch.Tensor, std: torch.Tensor) -> None:
        """Set the normalisation, (feature_size,) each, measured on training speakers; it is saved with the weights."""
        self.encoder.feature_mean.copy_(mean)
        self.encoder.feature_std.copy_(std)

    def set_functional_statistics(self, mean: torch.Tensor, std: torch.Tensor) -> None:
        """The same for the functionals, (functionals,) each."""
        self.encoder.functionals.mean.copy_(mean)
        self.encoder.functionals.std.copy_(std)

    def set_voice_directions(self, directions: torch.Tensor) -> None:
        """Set what is taken out of the functionals: orthonormal rows, (directions, functionals), or zeros."""
        self.encoder.functionals.voice_directions.copy_(directions)

    def forward(
        self,
        input_features: torch.FloatTensor,
        attention_mask: torch.LongTensor | None = None,
        output_hidden_states: bool = False,
        output_attentions: bool = False,
        **kwargs,
    ) -> SERModelOutput:
        """
        Args:
            input_features: (batch, frames, feature_size), from [`SERFeatureExtractor`].
            attention_mask: (batch, frames), 1 at valid frames; all of them if missing.
            output_hidden_states: return the output of each layer.
            output_attentions: return the weights of the attention pooling.
        """
        encoded = self.encoder(input_features, attention_mask)
        with_attentions = output_attentions and encoded.attentions is not None
        return SERModelOutput(
            last_hidden_state=encoded.last_hidden_state,
            pooler_output=encoded.sequence,
            functionals=encoded.functionals,
            voiced_seconds=encoded.voiced_seconds,
            hidden_states=encoded.hidden_states if output_hidden_states else None,
            attentions=(encoded.attentions,) if with_attentions else None,
        )


class SERForAudioClassification(SERPreTrainedModel):
    """The encoder and a classifier: features of an utterance in, logits of its emotions out."""

    def __init__(self, config: SERConfig):
        super().__init__(config)
        self.ser = SERModel(config)
        self.classifier = SERClassifier(config, self.ser.encoder)
        self.post_init()

    def freeze_feature_encoder(self) -> None:
        """
        Leave the convolutions untrained, all layers below the LSTM. Transformers' run_audio_classification calls it.

        The normalisation is never trained, it is measured.
        """
        self.ser.encoder.convolutions.requires_grad_(False)

    def freeze_base_model(self) -> None:
        """Leave the encoder untrained: convolutions, LSTM layers and pooling. The classifier's heads are trained."""
        self.ser.requires_grad_(False)

    def forward(
        self,
        input_features: torch.FloatTensor,
        attention_mask: torch.LongTensor | None = None,
        labels: torch.LongTensor | None = None,
        output_hidden_states: bool = False,
        output_attentions: bool = False,
        **kwargs,
    ) -> SERClassifierOutput:
        """
        Args:
            input_features: (batch, frames, feature_size), from [`SERFeatureExtractor`].
            attention_mask: (batch, frames), 1 at valid frames; all of them if missing.
            labels: (batch,), indices into `config.id2label`; the output then has the cross-entropy `loss`.
            output_hidden_states: return the output of each layer.
            output_attentions: return the weights of the attention pooling.

        Returns:
            `logits` (batch, labels) are divided by the configuration's temperature, and multiplied by a power of the
            familiarity: their softmax is calibrated. The `loss` is that of the logits; while training, the
            mean of the losses of all heads.
        """
        encoded = self.ser(
            input_features,
            attention_mask,
            output_hidden_states=output_hidden_states,
            output_attentions=output_attentions,
        )
        heads = self.classifier.head_logits(encoded.pooler_output, encoded.functionals)
        familiarity = self.classifier.familiarity(encoded.voiced_seconds)
        logits = self.classifier.mean_of_heads(heads, familiarity)
        loss = None
        if labels is not None:
            judged = heads if self.training else logits[None]
            loss = torch.stack([self.loss_function(labels, one, self.config, **kwargs) for one in judged]).mean()
        return SERClassifierOutput(
            loss=loss,
            logits=logits,
            hidden_states=encoded.hidden_states,
            attentions=encoded.attentions,
            familiarity=familiarity,
            head_logits=heads if self.training else None,
        )


__all__ = ["SERForAudioClassification", "SERModel", "SERPreTrainedModel"]

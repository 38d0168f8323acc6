"""Configuration of the speech emotion network: which layers it has, and what its outputs are called."""

import math
from dataclasses import field

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig

from .acoustics import LARGEST
from .answer_rule import ANSWER_THRESHOLD, CANDIDATE_MASS
from .functionals import track_count


# Head -> what it reads, and whether by a dense ReLU layer. Descriptors are the functionals of single tracks, without
# the correlations of two: these tell more on the corpora of the training than on others.
HEADS = {
    "sequence": ("sequence", True),  # the LSTM's pooled states, by the dense_sizes
    "functionals": ("functionals", True),
    "functionals_linear": ("functionals", False),
    "descriptors": ("descriptors", True),
    "descriptors_linear": ("descriptors", False),
}
# Far beyond any use, and little enough to be refused before memory is: a configuration may come from a stranger.
MOST_LAYERS = 64  # of each kind
LARGEST_SIZE = 8192  # units, channels, frames of a kernel
POOLINGS = ("last", "attention")


@strict
class SERConfig(PreTrainedConfig):
    r"""
    Configuration of [`SERModel`] and [`SERForAudioClassification`]:
    convolutions (optional) > LSTM layers > pooling over time > dense layers > logits.
    Beside them, with `functionals`: functionals of the utterance > further heads > logits of their own. The network's
    logits are the weighted mean of those of all heads.

    Args:
        feature_size (`int`, defaults to 40):
            Features per frame that the extractor gives.
        feature_names (`list[str]`, *optional*):
            What these are, in order: the `feature_names` of the extractor, which is refused beside the weights when it
            has others. By default not known.
        feature_dropout (`float`, defaults to 0.0):
            Probability, in training, that the sequence lacks a feature from the first frame of an utterance to its
            last. Functionals are made of all.
        conv_channels (`list[int]`, defaults to none):
            Output channels of each convolution over time, in front of the LSTM.
        conv_kernel_sizes (`list[int]`):
            Kernel size of each convolution, in frames; odd.
        conv_strides (`list[int]`):
            Stride of each convolution, in frames.
        conv_dropout (`float`, defaults to 0.0):
            Dropout behind each convolution.
        lstm_sizes (`list[int]`, defaults to `[128, 64]`):
            Units of each LSTM layer; of each direction where it is bidirectional.
        lstm_bidirectional (`bool`, defaults to `False`):
            Whether every LSTM layer reads the frames in both directions.
        lstm_residual (`bool`, defaults to `False`):
            Whether a layer's input is added to its output where the sizes agree.
        lstm_dropout (`float`, defaults to 0.3):
            Dropout behind each LSTM layer.
        pooling (`str`, defaults to `"last"`):
            `"last"` (the state after the whole utterance) or `"attention"`.
        attention_heads (`int`, defaults to 1):
            Heads of the attention; each pools all units with weights of its own.
        dense_sizes (`list[int]`, defaults to `[64]`):
            Units of the ReLU layers in front of the logits.
        dense_dropout (`float`, defaults to 0.0):
            Dropout behind each dense layer.
        functionals (`bool`, defaults to `False`):
            Whether functionals of the utterance (see `functionals.py`) are read beside the LSTM. The features of a
            frame are then MFCC, `spectral_shape` and `f0`, in this order, and the LSTM gets them in standard
            deviations from their means in the utterance.
        functional_mfcc (`int`, defaults to 13):
            How many of the MFCC are read.
        pitch_gate_db (`float`, *optional*):
            Frames whose level is this much below the loudest frame's, in dB, count as unvoiced. By default none.
        voice_directions (`int`, defaults to 0):
            How many directions in which voices differ, whatever they express, are removed from the functionals. They
            are measured on training speakers, as the normalisation is. With a head of descriptors as many are removed
            from what is said of each track, and as many from the correlations.
        heads (`dict[str, float]`, defaults to `{"sequence": 1.0}`):
            The classifier's heads, each with its weight in the mean of their logits; see `network_ser.HEADS`.
        functional_dense_size (`int`, defaults to 128):
            Units of the ReLU layer between the functionals and logits.
        functional_dropout (`float`, defaults to 0.5):
            Dropout in front of the functionals' linear layer, and behind their dense one.
        temperature (`float`, defaults to 1.0):
            Divides the logits, so that probabilities are calibrated (Guo et al. 2017). Fitted on validation speakers.
        familiarity_exponent (`float`, defaults to 0.0):
            How fast the confidence falls where there is little voice to go by: the logits are multiplied by the
            familiarity (voiced seconds / `functionals.MOST_VOICED`, at most 1) to the power of this. 0: it does not.
        answer_threshold (`float`, defaults to 0.5):
            An answer is sure when its probability is at least this; see [`AnswerRule`].
        candidate_mass (`float`, defaults to 0.8):
            Emotions are candidates, the most probable first, until their probabilities sum up to this.
    """

    model_type = "ser"
    keys_to_ignore_at_inference = ["familiarity"]  # the Trainer's predictions are logits alone

    feature_size: int = 40
    feature_names: list[str] | None = None
    feature_dropout: float | int = 0.0
    conv_channels: list[int] = field(default_factory=list)
    conv_kernel_sizes: list[int] = field(default_factory=list)
    conv_strides: list[int] = field(default_factory=list)
    conv_dropout: float | int = 0.0
    lstm_sizes: list[int] = field(default_factory=lambda: [128, 64])
    lstm_bidirectional: bool = False
    lstm_residual: bool = False
    lstm_dropout: float | int = 0.3
    pooling: str = "last"
    attention_heads: int = 1
    dense_sizes: list[int] = field(default_factory=lambda: [64])
    dense_dropout: float | int = 0.0
    functionals: bool = False
    functional_mfcc: int = 13
    pitch_gate_db: float | int | None = None
    voice_directions: int = 0
    heads: dict[str, float | int] = field(default_factory=lambda: {"sequence": 1.0})
    functional_dense_size: int = 128
    functional_dropout: float | int = 0.5
    temperature: float | int = 1.0
    familiarity_exponent: float | int = 0.0
    answer_threshold: float | int = ANSWER_THRESHOLD
    candidate_mass: float | int = CANDIDATE_MASS

    def validate_sizes(self) -> None:
        for name in ("conv_channels", "conv_kernel_sizes", "conv_strides", "lstm_sizes", "dense_sizes"):
            sizes = getattr(self, name)
            if len(sizes) > MOST_LAYERS or not all(1 <= size <= LARGEST_SIZE for size in sizes):
                raise ValueError(
                    f"{name} takes up to {MOST_LAYERS} numbers from 1 to {LARGEST_SIZE}, got {str(sizes)[:80]}."
                )
        for name in ("feature_size", "attention_heads", "functional_dense_size"):
            if not 1 <= getattr(self, name) <= LARGEST_SIZE:
                raise ValueError(f"{name} must be from 1 to {LARGEST_SIZE}, got {getattr(self, name)}.")

    def validate_dropouts(self) -> None:
        for name in ("feature_dropout", "conv_dropout", "lstm_dropout", "dense_dropout", "functional_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} is a share, from 0 to less than 1; got {getattr(self, name)}.")

    def validate_labels(self) -> None:
        numbers = list(map(str, self.id2label))  # which JSON and transformers' own scripts write as text
        if numbers != list(map(str, range(len(numbers)))):
            raise ValueError(f"id2label must number the labels from 0 on, got {str(self.id2label)[:80]}.")

    def validate_convolutions(self) -> None:
        sizes = {len(self.conv_channels), len(self.conv_kernel_sizes), len(self.conv_strides)}
        if len(sizes) > 1:
            raise ValueError(
                "conv_channels, conv_kernel_sizes and conv_strides need one entry for each convolution, got "
                f"{self.conv_channels}, {self.conv_kernel_sizes} and {self.conv_strides}."
            )
        if any(kernel_size % 2 == 0 for kernel_size in self.conv_kernel_sizes):
            raise ValueError(f"conv_kernel_sizes must be odd, got {self.conv_kernel_sizes}.")

    def validate_lstm(self) -> None:
        if not self.lstm_sizes:
            raise ValueError("lstm_sizes is empty: give the units of at least one LSTM layer.")

    def validate_pooling(self) -> None:
        if self.pooling not in POOLINGS:
            raise ValueError(f"pooling must be one of {', '.join(POOLINGS)}, got {self.pooling!r}.")

    def validate_functionals(self) -> None:
        if self.functionals and not 0 < self.functional_mfcc <= self.feature_size - track_count(0):
            raise ValueError(
                f"functionals need frames of MFCC, spectral_shape and f0, of which functional_mfcc MFCC are followed: "
                f"got feature_size={self.feature_size} and functional_mfcc={self.functional_mfcc}, but "
                f"{track_count(0)} of the features are none."
            )
        if self.pitch_gate_db is not None and not math.isfinite(self.pitch_gate_db):
            raise ValueError(f"pitch_gate_db must be a number of dB, got {self.pitch_gate_db}.")
        if not 0 <= self.voice_directions <= LARGEST_SIZE:
            raise ValueError(f"voice_directions must be from 0 to {LARGEST_SIZE}, got {self.voice_directions}.")
        if self.voice_directions and not self.functionals:
            raise ValueError(f"voice_directions={self.voice_directions} are those of functionals: set functionals.")

    def validate_heads(self) -> None:
        if "sequence" not in self.heads or not set(self.heads) <= set(HEADS):
            raise ValueError(f"heads must have 'sequence', and may have {', '.join(HEADS)}; got {self.heads}.")
        if not all(0 < weight <= LARGEST for weight in self.heads.values()):
            raise ValueError(f"the weights of the heads must be positive, got {self.heads}.")
        if len(self.heads) > 1 and not self.functionals:
            raise ValueError(f"the heads {', '.join(self.heads)} read functionals: set functionals.")

    def validate_temperature(self) -> None:
        if not 0 < self.temperature <= LARGEST:
            raise ValueError(f"temperature must be positive, got {self.temperature}.")

    def validate_familiarity(self) -> None:
        if not 0 <= self.familiarity_exponent <= LARGEST:
            raise ValueError(f"familiarity_exponent must be 0 or more, got {self.familiarity_exponent}.")
        if self.familiarity_exponent and not self.functionals:
            raise ValueError("familiarity_exponent needs voiced frames, which functionals count: set functionals.")

    def validate_answer_rule(self) -> None:
        for name in ("answer_threshold", "candidate_mass"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a probability, from 0 to 1; got {getattr(self, name)}.")


__all__ = ["SERConfig"]

"""The network as a table: what each branch reads, its layers, parameters and weight in the answer."""

from collections.abc import Iterator, Sequence

from torch import nn

from ser_model.configuration_ser import SERConfig
from ser_model.modeling_ser import SERForAudioClassification


HEADER = ("branch", "input", "layers", "parameters", "weight %")


def architecture_rows(config: SERConfig) -> list[list[str]]:
    """A row for the encoder and for each head, in the columns of `HEADER`; parameters add up to the network's."""
    network = SERForAudioClassification(config)
    encoder = network.ser.encoder
    rows = [["encoder", encoder_input(config), encoder_layers(config), f"{count([encoder]):,}", "–"]]
    for name, modules, weight in heads_of(network.classifier, config):
        linear = [layer for module in modules for layer in module.modules() if isinstance(layer, nn.Linear)]
        sizes = " > ".join(f"dense {layer.out_features}" for layer in linear[:-1])
        layers = f"{sizes} > linear" if sizes else "linear"
        read = head_input(name, linear[0].in_features, config)
        rows.append([name.replace("_", ", "), read, layers, f"{count(modules):,}", f"{100 * weight:.0f}"])
    return rows


def heads_of(classifier: nn.Module, config: SERConfig) -> Iterator[tuple[str, Sequence[nn.Module], float]]:
    """Name, modules and share in the mean of the logits of each head."""
    total = sum(config.heads.values())
    for name, head in classifier.heads.items():
        yield name, [head], config.heads[name] / total


def encoder_input(config: SERConfig) -> str:
    """Input of the encoder in each frame, in words."""
    return f"{config.feature_size} features a frame"


def encoder_layers(config: SERConfig) -> str:
    """The encoder's layers in their order."""
    convolutions = zip(config.conv_channels, config.conv_kernel_sizes, config.conv_strides, strict=True)
    layers = [
        f"convolution {channels} ({kernel} frames, stride {stride})" for channels, kernel, stride in convolutions
    ]
    direction = "bidirectional " if config.lstm_bidirectional else ""
    layers += [f"{direction}LSTM {units}" for units in config.lstm_sizes]
    return " > ".join([*layers, f"{config.pooling} pooling"])


def head_input(name: str, size: int, config: SERConfig) -> str:
    """Input of a head for an utterance, in words."""
    if name == "sequence":
        return f"{size:,} pooled LSTM states"
    described = "moments, correlations, delayed correlations"
    kinds = "without the correlations between tracks" if name.startswith("descriptors") else described
    directions = config.voice_directions
    voices = f", less {directions} directions in which voices differ" if directions else ""
    return f"{size:,} functionals of {config.functional_mfcc} MFCC, spectral shape and pitch ({kinds}{voices})"


def count(modules: Sequence[nn.Module]) -> int:
    """Trained parameters of some modules."""
    return sum(parameter.numel() for module in modules for parameter in module.parameters())

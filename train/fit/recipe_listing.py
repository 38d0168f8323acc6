"""Listing of the recipes, with the sizes of their networks: from the recipes alone, without loading any data."""

import textwrap
from collections.abc import Iterator, Sequence

import torch

from ser_model.configuration_ser import SERConfig
from ser_model.network_ser import SERNetwork
from train.fit.recipe import Recipe, load_recipe, recipe_names


WIDTH = 119
INDENT = 14  # columns in front of a value


def listing(names: Sequence[str] = ()) -> str:
    """
    Name, description, corpora, labels, features, network, parameters and size of recipes, for the screen.

    Args:
        names: as `load_recipe` takes them; by default all recipes that come with the project.
    """
    return "\n\n".join(entry(load_recipe(name)) for name in names or recipe_names())


def entry(recipe: Recipe) -> str:
    """Lines on one recipe."""
    config = recipe.config()
    parameters, size = network_size(config)
    rows = {
        "corpora": ", ".join(recipe.corpora),
        "labels": ", ".join(recipe.labels),
        "features": f"{', '.join(recipe.feature_extractor().feature_names)} ({config.feature_size} in each frame)",
        "network": " > ".join(layers(config)),
        "parameters": f"{parameters:,} ({size / 1e6:.2f} MB)",
    }
    lines = [wrapped(f"{recipe.name}: {recipe.description}", indent=2)]
    lines += [wrapped(f"  {name:{INDENT - 2}}{value}", indent=INDENT) for name, value in rows.items()]
    return "\n".join(lines)


def wrapped(text: str, indent: int) -> str:
    """Text broken into lines; those after the first are indented."""
    return textwrap.fill(text, WIDTH, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False)


def layers(config: SERConfig) -> Iterator[str]:
    """Each layer in words, from the features to the logits."""
    for channels, kernel_size, stride in zip(
        config.conv_channels, config.conv_kernel_sizes, config.conv_strides, strict=True
    ):
        yield f"convolution {channels} (kernel {kernel_size}, stride {stride}){with_dropout(config.conv_dropout)}"
    direction = "bidirectional LSTM" if config.lstm_bidirectional else "LSTM"
    for units in config.lstm_sizes:
        yield f"{direction} {units}{with_dropout(config.lstm_dropout)}"
    heads = f" ({config.attention_heads} heads)" if config.pooling == "attention" else ""
    yield f"{config.pooling} pooling{heads}"
    for units in config.dense_sizes:
        yield f"dense {units}{with_dropout(config.dense_dropout)}"
    beside = ""
    if config.functionals:
        dropout = with_dropout(config.functional_dropout)
        others = ", ".join(name.replace("_", " ") for name in config.heads if name != "sequence")
        beside = f", beside heads of {others} (dense {config.functional_dense_size}{dropout})"
    yield f"{config.num_labels} labels{beside}"


def with_dropout(share: float) -> str:
    """The dropout behind a layer, in words."""
    return f", dropout {share:g}" if share else ""


def network_size(config: SERConfig) -> tuple[int, int]:
    """Parameters of the network, and bytes of its weights and feature statistics."""
    with torch.device("meta"):  # counted, and never allocated
        network = SERNetwork(config)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return parameters, sum(tensor.numel() * tensor.element_size() for tensor in network.state_dict().values())

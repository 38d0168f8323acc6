"""Runs a checkpoint in PyTorch, without transformers' modelling code: its import takes longer than all of the rest."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from .answer_rule import AnswerRule
from .backend import Backend, BackendOutput
from .configuration_ser import SERConfig
from .feature_extraction_ser import SERFeatureExtractor
from .files import CONFIG_FILE, EXTRACTOR_FILE, TORCH_FILES, WEIGHTS_FILE
from .network_ser import SERNetwork
from .samples import SAMPLING_RATE


ENCODER_PREFIX = "ser."  # of SERForAudioClassification's encoder; SERNetwork has it at the top


class TorchBackend(Backend):
    """
    From waveforms to the probabilities of the labels, and the familiarity.

    Args:
        folder: as `save_pretrained` of [`SERForAudioClassification`] and [`SERFeatureExtractor`] write it.

    Raises:
        OSError: a file is missing or damaged, or belongs to another kind of model.
    """

    def __init__(self, folder: Path):
        check_folder(folder)
        self.folder = folder
        config, self.extractor = load_settings(folder)
        self.labels = tuple(config.id2label[index] for index in range(config.num_labels))
        self.rule = AnswerRule(config.answer_threshold, config.candidate_mass)
        self.temperature = config.temperature
        with torch.device("meta"):  # the weights that are there fill it: none are drawn, nor memory for a false size
            self.network = SERNetwork(config).eval()
        load_weights(self.network, folder / WEIGHTS_FILE)

    @torch.inference_mode()
    def run(self, waveforms: Sequence[np.ndarray]) -> BackendOutput:
        """Network output of mono waveforms (samples,) at 16 kHz."""
        inputs = self.extractor(
            list(waveforms), sampling_rate=SAMPLING_RATE, return_attention_mask=True, return_tensors="pt"
        )
        output = self.network(inputs["input_features"], inputs["attention_mask"])
        familiarity = None if output.familiarity is None else output.familiarity.numpy()
        return BackendOutput(output.logits.softmax(-1).numpy(), familiarity)


def check_folder(folder: Path) -> None:
    """Raise if a file is missing, or if the config is not one of ours."""
    missing = [name for name in TORCH_FILES if not (folder / name).is_file()]
    if missing:
        raise FileNotFoundError(
            f"'{folder}' is no checkpoint: {', '.join(missing)} missing. A checkpoint is a folder with "
            f"{', '.join(TORCH_FILES)}, as save_pretrained writes it; weights in any other format are not read, but "
            "for an exported model.onnx by the backend 'onnx'."
        )
    try:
        model_type = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8")).get("model_type")
    except (ValueError, AttributeError) as error:
        raise OSError(f"'{folder / CONFIG_FILE}' is no JSON object: {error}.") from error
    if model_type != SERConfig.model_type:
        raise OSError(
            f"'{folder}' holds a model of the type {model_type!r}; a speech emotion recogniser of the type "
            f"{SERConfig.model_type!r} is needed."
        )


def load_settings(folder: Path) -> tuple[SERConfig, SERFeatureExtractor]:
    """Configuration and feature extractor of a checkpoint, if they are valid and fit each other."""
    try:
        config, extractor = SERConfig.from_pretrained(folder), SERFeatureExtractor.from_pretrained(folder)
    except OSError:
        raise
    except Exception as error:  # transformers raises what its own fields, of any type, lead to
        raise OSError(f"The settings in '{folder}' are not valid: {error}") from error
    if extractor.sampling_rate != SAMPLING_RATE:
        raise OSError(f"'{folder}' works at {extractor.sampling_rate} Hz; {SAMPLING_RATE} Hz are needed.")
    if extractor.feature_size != config.feature_size:
        raise OSError(
            f"'{folder}' is inconsistent: {EXTRACTOR_FILE} gives {extractor.feature_size} features per frame, "
            f"{CONFIG_FILE} expects {config.feature_size}."
        )
    if config.feature_names not in (None, extractor.feature_names):
        raise OSError(
            f"'{folder}' is inconsistent: {EXTRACTOR_FILE} gives {', '.join(extractor.feature_names)}, {CONFIG_FILE} "
            f"expects {', '.join(config.feature_names)}."
        )
    return config, extractor


def load_weights(network: SERNetwork, path: Path) -> None:
    """Fill the network with the weights of a saved SERForAudioClassification, all of them and no others."""
    try:
        weights = load_file(path)
        named = {name.removeprefix(ENCODER_PREFIX): tensor for name, tensor in weights.items()}
        network.load_state_dict(named, assign=True)
    except (SafetensorError, RuntimeError) as error:
        raise OSError(f"The weights in '{path}' are damaged or do not fit the config beside them: {error}") from error

"""UAR of a checkpoint on what has gone through noise, rooms and lines: under each condition, beside clean.

Every clip is changed as a waveform and goes the whole way from there: features, network, label.
"""

import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from datasets import Dataset
from tqdm.auto import tqdm

from ser_model.audio_io import load_audio
from ser_model.feature_extraction_ser import SERFeatureExtractor
from ser_model.metrics_file import WEIGHTS_SUM
from train.augment.waveform_transforms import noisy
from train.data import CorpusError
from train.data.randomness import seeded
from train.evaluation.conditions import CLEAN, CONDITIONS, NOISES, SNRS_DB, noise_name
from train.evaluation.reporting import corpus_title, provenance
from train.evaluation.scoring import metrics, prediction_table
from train.fit.checkpoint import Checkpoint
from train.plots.figures import save_robustness


ROBUSTNESS_FILE = "robustness.json"
FIGURE_FILE = "robustness.png"
BATCH_SIZE = 32  # clips that are in memory under every condition
VOICES = 120  # clips that babble is made of
KEPT = ("uar", "uar_interval", "accuracy", "calibration_error")


def robustness(
    checkpoint: Checkpoint, dataset: Dataset, voices: Dataset, output: Path, *, split: str
) -> dict[str, Any]:
    """
    Test a model under every condition, write robustness.json and a figure, print a table.

    Args:
        checkpoint: model, extractor, and the speakers that it has heard.
        dataset: utterances to test on, with the model's labels.
        voices: utterances of which some become babble behind those of other speakers.
        output: folder of the files.
        split: name of the part of the corpora.

    Returns:
        The content of robustness.json; `conditions` has the figures of each condition over all clips and for each
        corpus, `difference` being the UAR minus that of the clean clips.

    Raises:
        CorpusError: a single speaker, who has nobody to babble behind.
    """
    figures = {
        name: metrics(predictions, checkpoint.recipe.labels)
        for name, predictions in predictions_under_conditions(checkpoint, dataset, voices).items()
    }
    result = {
        "protocol": checkpoint.protocol(dataset["speaker"][:]),
        "split": split,
        **provenance(checkpoint.recipe.to_dict()),
        WEIGHTS_SUM: checkpoint.weights_sha256,
        "clips": figures[CLEAN]["clips"],
        "speakers": figures[CLEAN]["speakers"],
        "conditions": {name: compared(one, figures[CLEAN]) for name, one in figures.items()},
    }
    output.mkdir(parents=True, exist_ok=True)
    (output / ROBUSTNESS_FILE).write_text(json.dumps(result, indent=2) + "\n")
    title = f"{checkpoint.recipe.name}, {split} split ({result['protocol']}): UAR under each condition"
    save_robustness(panels(result), [CLEAN, *map(str, SNRS_DB)], output / FIGURE_FILE, title)
    print(summary(result))
    return result


def panels(result: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The UARs as the figure takes them: title of each corpus -> clean, noises, conditions."""
    return {
        corpus_title(corpus): {
            "clean": uar_of(result, CLEAN, corpus),
            "noises": {
                noise: [uar_of(result, name, corpus) for name in (CLEAN, *names_of(noise))] for noise in NOISES
            },
            "conditions": {name: uar_of(result, name, corpus) for name in CONDITIONS},
        }
        for corpus in result["conditions"][CLEAN]["corpora"]
    }


def names_of(noise: str) -> list[str]:
    """Names of the conditions with a noise, the faintest first."""
    return [noise_name(noise, snr) for snr in SNRS_DB]


def uar_of(result: Mapping[str, Any], condition: str, corpus: str) -> float:
    """UAR of a corpus under a condition."""
    return result["conditions"][condition]["corpora"][corpus]["uar"]


def compared(figures: Mapping[str, Any], clean: Mapping[str, Any]) -> dict[str, Any]:
    """Figures that are kept of a condition, and the difference of its UAR from that of the clean clips."""
    kept = {name: figures[name] for name in KEPT} | {"difference": figures["uar"] - clean["uar"]}
    if "corpora" in figures:
        kept["corpora"] = {name: compared(figures["corpora"][name], one) for name, one in clean["corpora"].items()}
    return kept


@torch.inference_mode()
def predictions_under_conditions(checkpoint: Checkpoint, dataset: Dataset, voices: Dataset) -> dict[str, pd.DataFrame]:
    """Condition -> predictions as `predict` gives them; arguments as in [`robustness`]."""
    paths, speakers = dataset["path"][:], dataset["speaker"][:]
    others = other_voices(voices, speakers, checkpoint.extractor.sampling_rate)
    scores: dict[str, list[np.ndarray]] = {}
    for start in tqdm(range(0, len(dataset), BATCH_SIZE), desc="Testing under every condition", unit="batch"):
        batch = slice(start, start + BATCH_SIZE)
        variants = [
            dict(under_conditions(path, others[speaker], checkpoint.extractor.sampling_rate))
            for path, speaker in zip(paths[batch], speakers[batch], strict=True)
        ]
        for name in variants[0]:
            waveforms = [clip[name] for clip in variants]
            scores.setdefault(name, []).append(probabilities(checkpoint.model, checkpoint.extractor, waveforms))
    return {name: prediction_table(dataset, np.concatenate(rows)) for name, rows in scores.items()}


def under_conditions(path: str, others: Sequence[np.ndarray], sampling_rate: int) -> Iterator[tuple[str, np.ndarray]]:
    """Name and waveform of a clip under every condition; what is random follows from the name of its file."""
    waveform = load_audio(path, target_rate=sampling_rate)
    seed = zlib.crc32(Path(path).name.encode())
    yield CLEAN, waveform
    for name, noise in NOISES.items():
        with seeded(seed):
            sound = noise(len(waveform), others)
        for snr in SNRS_DB:
            yield noise_name(name, snr), noisy(waveform, sound, snr)
    for name, change in CONDITIONS.items():
        with seeded(seed):
            yield name, change(waveform)


def probabilities(
    model: torch.nn.Module, extractor: SERFeatureExtractor, waveforms: Sequence[np.ndarray]
) -> np.ndarray:
    """Calibrated probabilities (clips, labels) of waveforms (samples,)."""
    inputs = extractor(list(waveforms), sampling_rate=extractor.sampling_rate, return_tensors="pt").to(model.device)
    return model(**inputs).logits.softmax(-1).cpu().numpy()


def other_voices(voices: Dataset, speakers: Sequence[str], sampling_rate: int) -> dict[str, list[np.ndarray]]:
    """For each of the speakers, waveforms of some clips that other speakers say, always the same ones."""
    drawn = voices.shuffle(seed=0).select(range(min(VOICES, len(voices))))
    clips = [
        (speaker, load_audio(path, target_rate=sampling_rate))
        for speaker, path in zip(drawn["speaker"][:], drawn["path"][:], strict=True)
    ]
    others = {name: [clip for speaker, clip in clips if speaker != name] for name in set(speakers)}
    if alone := sorted(name for name, waveforms in others.items() if not waveforms):
        raise CorpusError(f"babble is made of other voices, but there is only {alone[0]}: name a further corpus.")
    return others


def summary(result: Mapping[str, Any]) -> str:
    """The figures of each condition as a table for the screen."""
    corpora = list(result["conditions"][CLEAN]["corpora"])
    lines = [
        f"{result['split']} split, {result['protocol']}: {result['clips']:,} clips of {result['speakers']} speakers",
        "",
        "condition                UAR   to clean  accuracy" + "".join(f"{name:>12}" for name in corpora),
    ]
    for name, figures in result["conditions"].items():
        uars = "".join(f"{100 * uar_of(result, name, corpus):12.1f}" for corpus in corpora)
        lines.append(
            f"{name:20} {100 * figures['uar']:7.1f} {100 * figures['difference']:+10.1f} "
            f"{100 * figures['accuracy']:9.1f}{uars}"
        )
    return "\n".join(lines)

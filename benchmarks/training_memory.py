"""Peak memory of a recipe's training: steps with a batch of the longest clips of its corpora.

    python -m benchmarks.training_memory RECIPE

`python -m benchmarks memory` runs it for every recipe and measures the process.
"""

import sys
import tempfile
from pathlib import Path

import torch

from benchmarks.training import QUIET, generated_analyses, prepared_trainer
from train.data import CORPORA
from train.fit.recipe import Recipe, load_recipe


STEPS = 2
# Settings that need corpora, speakers or files, which generated analyses do not have, and little memory.
UNMEASURED = (
    "balance=[]",
    "mask_labels=false",
    "logit_adjustment=0",
    "waveform_augmentation={}",
    "training.lr_scheduler_type=constant",
)


def main(name: str) -> None:
    """Train some steps, all of whose clips are the longest there are."""
    torch.set_num_threads(1)
    recipe = measured_recipe(name)
    extractor = recipe.feature_extractor()
    longest = max(CORPORA[corpus].longest_clip for corpus in recipe.corpora)
    frames = 1 + int(longest * extractor.sampling_rate) // extractor.hop_length
    dataset = generated_analyses(recipe, [frames] * recipe.training["per_device_train_batch_size"] * STEPS)
    with tempfile.TemporaryDirectory() as folder:
        prepared_trainer(recipe, dataset, dataset, Path(folder)).train()


def measured_recipe(name: str) -> Recipe:
    """The recipe, without what generated analyses do not have, and of a few steps."""
    return load_recipe(name, [*QUIET, *UNMEASURED, f"training.max_steps={STEPS}"])


if __name__ == "__main__":
    main(sys.argv[1])

"""The Trainer's arguments for a recipe: our defaults, the recipe's own, and what is refused before a training."""

import logging
import os
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from transformers import TrainingArguments
from transformers.integrations import get_available_reporting_integrations
from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK

from train.fit.recipe import Recipe, RecipeError


logger = logging.getLogger(__name__)
STREAM_EVALUATIONS = 10  # in a training from a stream, which has no epochs

TRAINING_DEFAULTS = {
    "eval_strategy": "epoch",
    "per_device_eval_batch_size": 64,
    "save_strategy": "epoch",
    "logging_strategy": "epoch",
    "save_total_limit": 2,
    "train_sampling_strategy": "group_by_length",
    "remove_unused_columns": False,  # the collator needs them
    "label_names": ["labels"],
    "report_to": "none",
    "restore_callback_states_from_checkpoint": True,  # so that early stopping counts on
    "hub_strategy": "end",
    "ddp_timeout": 12 * 3600,  # seconds that other processes wait for the one that decodes
    "use_cpu": not torch.accelerator.is_available(),  # or the processes of torchrun would not know one another
    "dataloader_pin_memory": torch.accelerator.is_available(),
}


def first_process_ahead(recipe: Recipe) -> AbstractContextManager:
    """Context that the first process of each machine goes through alone; the others find its work in the cache."""
    return training_arguments(recipe).main_process_first()


def training_arguments(recipe: Recipe, folder: Path = Path(), seed: int = 0, **overrides: Any) -> TrainingArguments:
    """The recipe's arguments of the Trainer, over our defaults and under some overrides; `folder` is the Trainer's."""
    check_tracking(recipe)
    check_push(recipe)
    best = {"load_best_model_at_end": recipe.early_stopping_patience > 0, "metric_for_best_model": "uar"}
    # Absolute, because checkpoints name one another, and a run may be resumed from another folder.
    output_dir = os.path.abspath(folder)
    defaults = TRAINING_DEFAULTS | (streaming_defaults(recipe) if recipe.streaming else {}) | best
    arguments = TrainingArguments(output_dir=output_dir, seed=seed, **(defaults | recipe.training | overrides))
    if arguments.bf16 and not has_bfloat16_lstm(arguments.device):
        raise RecipeError("training.bf16: this processor has no LSTM in bfloat16; leave it out, or train on a GPU.")
    if arguments.n_gpu > 1:  # DataParallel gathers along the first dimension, which is the heads' in head_logits
        logger.warning("One process trains on one GPU; for all: torchrun --nproc_per_node %d -m ...", arguments.n_gpu)
        arguments._n_gpu = 1
    return arguments


def has_bfloat16_lstm(device: torch.device) -> bool:
    """True if an LSTM runs in bfloat16 on a device; on a CPU, oneDNN has one for some processors only (AVX-512)."""
    try:
        with torch.autocast(device.type, torch.bfloat16):
            torch.nn.LSTM(1, 1, device=device)(torch.zeros(1, 1, 1, device=device))
    except RuntimeError:
        return False
    return True


def streaming_defaults(recipe: Recipe) -> dict[str, Any]:
    """Arguments of the Trainer for a training that has steps and no epochs."""
    steps = max(1, recipe.training["max_steps"] // STREAM_EVALUATIONS)
    return {f"{name}_strategy": "steps" for name in ("eval", "save", "logging")} | {
        f"{name}_steps": steps for name in ("eval", "save", "logging")
    }


def check_tracking(recipe: Recipe) -> None:
    """Raise RecipeError where the recipe asks for a tracker that is not known or not installed."""
    asked = recipe.training.get("report_to") or "none"
    for name in [asked] if isinstance(asked, str) else asked:
        if name in ("none", "all"):
            continue
        if name not in INTEGRATION_TO_CALLBACK:
            known = ", ".join(sorted(INTEGRATION_TO_CALLBACK))
            raise RecipeError(f"training.report_to: there is no tracker {name!r}; there are none, all, {known}.")
        if name not in get_available_reporting_integrations():
            raise RecipeError(f"training.report_to: {name} is not installed; try `pip install {name}`.")


def check_push(recipe: Recipe) -> None:
    """Raise RecipeError where a push to the Hub would fail after the training, or send what nobody should have."""
    asked = recipe.training
    if asked.get("hub_token"):
        raise RecipeError("training.hub_token would be stored with the checkpoint, for all to read; set HF_TOKEN.")
    if asked.get("push_to_hub") and not asked.get("hub_model_id"):
        raise RecipeError("training.push_to_hub needs to know where to: give training.hub_model_id=OWNER/NAME.")
    if asked.get("hub_strategy", "end") != "end":
        raise RecipeError("training.hub_strategy can only be end: the others send the Trainer's pickles to the Hub.")

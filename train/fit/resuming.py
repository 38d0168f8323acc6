"""The Trainer's checkpoints of a run that was killed: which of them are whole, and whether its training was over."""

import json
import logging
import shutil
from pathlib import Path
from typing import Any

from accelerate import PartialState
from safetensors.torch import load_model
from transformers import (
    EarlyStoppingCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR
from transformers.utils import SAFE_WEIGHTS_NAME

from train.fit.recipe import Recipe, RecipeError, with_later_fields
from train.fit.run_folder import compare_settings, whole_file


logger = logging.getLogger(__name__)

MANIFEST = "manifest.json"
RUN_FILE = "run.json"  # what the checkpoints beside it come of
MAY_CHANGE = ("description", "training")


class ManifestCallback(TrainerCallback):
    """Writes the names and sizes of a checkpoint's files into it, once every process has written its own.

    The Trainer writes a checkpoint file by file, and removes old ones so: what a killed run leaves behind may be a
    part of one. With its manifest, it is known to be whole.
    """

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs) -> None:
        PartialState().wait_for_everyone()
        if state.is_world_process_zero:
            folder = Path(args.output_dir, f"{PREFIX_CHECKPOINT_DIR}-{state.global_step}")
            sizes = file_sizes(folder)
            with whole_file(folder / MANIFEST) as path:
                path.write_text(json.dumps(sizes, indent=1) + "\n")


def file_sizes(folder: Path) -> dict[str, int]:
    """Size of each file of a checkpoint in bytes, without the manifest."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(MANIFEST))
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}


def is_whole(checkpoint: Path) -> bool:
    """True if a checkpoint has all that its manifest lists."""
    try:
        manifest = json.loads((checkpoint / MANIFEST).read_text())
    except FileNotFoundError:
        return False
    return manifest.items() <= file_sizes(checkpoint).items()


def last_whole_checkpoint(folder: Path) -> Path | None:
    """The latest checkpoint below a folder that was written to its end; None if there is none."""
    return max(filter(is_whole, checkpoints_in(folder)), key=step_of, default=None)


def remove_checkpoints(folder: Path, *, whole: bool) -> None:
    """Remove the checkpoints below a folder that were cut off, and with `whole` the others too."""
    for checkpoint in checkpoints_in(folder):
        if whole or not is_whole(checkpoint):
            logger.info("Removing %s", checkpoint)
            shutil.rmtree(checkpoint)


def checkpoints_in(folder: Path) -> list[Path]:
    """The Trainer's checkpoints below a folder, whole or not."""
    return [path for path in folder.glob(f"{PREFIX_CHECKPOINT_DIR}-*") if path.name.rpartition("-")[2].isdecimal()]


def step_of(checkpoint: Path) -> int:
    """After how many steps a checkpoint was written."""
    return int(checkpoint.name.rpartition("-")[2])


def remember_run(folder: Path, recipe: Recipe, seed: int) -> None:
    """Write what a run depends on beside the checkpoints that come of it."""
    folder.mkdir(parents=True, exist_ok=True)
    with whole_file(folder / RUN_FILE) as path:
        path.write_text(json.dumps(settings_of(recipe, seed), indent=1) + "\n")


def check_same_run(folder: Path, recipe: Recipe, seed: int) -> None:
    """Raise RecipeError if checkpoints come of another recipe or seed: to go on with them would mix two systems."""
    if not (folder / RUN_FILE).is_file():
        return
    begun = with_later_fields(json.loads((folder / RUN_FILE).read_text()))
    begun = {name: value for name, value in begun.items() if name not in MAY_CHANGE}
    now = json.loads(json.dumps(settings_of(recipe, seed)))
    if differences := list(compare_settings(begun, now)):
        raise RecipeError(
            f"{folder} holds checkpoints of another run: {'; '.join(differences)}. Resume it as it was begun, give "
            "another output folder, or begin anew without --resume."
        )


def settings_of(recipe: Recipe, seed: int) -> dict[str, Any]:
    """Settings that must be the same when a run goes on; `training` may change, for more epochs or another tracker."""
    return {"seed": seed} | {name: value for name, value in recipe.to_dict().items() if name not in MAY_CHANGE}


def had_stopped(checkpoint: Path, patience: int) -> bool:
    """True if training had stopped early when a checkpoint was written."""
    callbacks = load_state(checkpoint).stateful_callbacks
    state = callbacks.get(EarlyStoppingCallback.__name__)
    return state is not None and state["attributes"]["early_stopping_patience_counter"] >= patience > 0


def restore_best(trainer: Trainer, checkpoint: Path) -> None:
    """Put a Trainer where it was when training had stopped: its history, and the weights of the best epoch."""
    trainer.state = load_state(checkpoint)
    load_model(trainer.model, Path(trainer.state.best_model_checkpoint, SAFE_WEIGHTS_NAME))


def load_state(checkpoint: Path) -> TrainerState:
    """The state that the Trainer wrote into a checkpoint."""
    return TrainerState.load_from_json(str(checkpoint / TRAINER_STATE_NAME))

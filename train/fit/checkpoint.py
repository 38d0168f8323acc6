"""A checkpoint folder that anyone can load: weights, configuration, extractor, the code that they need, the recipe."""

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import snapshot_download

from ser_model.configuration_ser import SERConfig
from ser_model.feature_extraction_ser import SERFeatureExtractor
from ser_model.metrics_file import read_object, weights_sha256
from ser_model.modeling_ser import SERForAudioClassification, SERModel
from train.fit.kinds import fits
from train.fit.recipe import Recipe, RecipeError, recipe_from


RECIPE_FILE = "recipe.json"
SPEAKER_DISJOINT, SPEAKERS_SEEN = "speaker-disjoint", "speakers seen in training"


@dataclass(frozen=True)
class Checkpoint:
    """Content of a checkpoint's folder.

    Args:
        model: the trained network.
        extractor: its feature extractor.
        recipe: what it was trained by.
        seed: of the training.
        speakers: whom training or a choice has heard; a test on one of them is no test on a new voice.
        weights_sha256: of the file that the model was saved to or loaded from, or None.
    """

    model: SERForAudioClassification
    extractor: SERFeatureExtractor
    recipe: Recipe
    seed: int
    speakers: frozenset[str]
    weights_sha256: str | None = None

    def protocol(self, tested_speakers: Iterable[str]) -> str:
        """Protocol of a result on these speakers: seen in training, or speaker-disjoint."""
        return SPEAKERS_SEEN if self.speakers & set(tested_speakers) else SPEAKER_DISJOINT


def save_checkpoint(checkpoint: Checkpoint, folder: Path) -> Checkpoint:
    """
    Write the folder, and give the checkpoint with the SHA-256 of its weights.

    `from_pretrained(folder, trust_remote_code=True)` then needs nothing of this project.
    """
    SERConfig.register_for_auto_class()
    SERFeatureExtractor.register_for_auto_class("AutoFeatureExtractor")
    SERForAudioClassification.register_for_auto_class("AutoModelForAudioClassification")
    # Registering a class writes its own entry only; AutoModel is to find the encoder in the same folder.
    checkpoint.model.config.auto_map = {"AutoModel": f"modeling_ser.{SERModel.__name__}"}
    checkpoint.model.save_pretrained(folder)
    checkpoint.extractor.save_pretrained(folder)
    content = checkpoint.recipe.to_dict() | {"seed": checkpoint.seed, "speakers": sorted(checkpoint.speakers)}
    (folder / RECIPE_FILE).write_text(json.dumps(content, indent=2) + "\n")
    return dataclasses.replace(checkpoint, weights_sha256=weights_sha256(folder))


def load_checkpoint(path_or_id: str) -> Checkpoint:
    """
    Load what [`save_checkpoint`] wrote, from a folder or from the Hub.

    Raises:
        FileNotFoundError: a folder without the recipe, which tells how the corpora's labels map to the model's and
            whom it was trained on.
    """
    folder = Path(path_or_id) if Path(path_or_id).is_dir() else Path(snapshot_download(path_or_id))
    recipe_path = folder / RECIPE_FILE
    if not recipe_path.is_file():
        raise FileNotFoundError(f"{path_or_id} has no {RECIPE_FILE}: it was not written by `python -m train fit`.")
    recipe, seed, speakers = read_recipe(recipe_path)
    return Checkpoint(
        SERForAudioClassification.from_pretrained(folder).eval(),
        SERFeatureExtractor.from_pretrained(folder),
        recipe,
        seed,
        speakers,
        weights_sha256(folder),
    )


def load_relative(recipe: Recipe, folder: Path) -> Checkpoint:
    """A checkpoint of the same network as a recipe's; RecipeError if its features, network or labels are others."""
    relative = load_checkpoint(str(folder))
    parts = ("features", "network", "labels")
    if differing := [name for name in parts if getattr(relative.recipe, name) != getattr(recipe, name)]:
        raise RecipeError(f"{folder} holds another network than {recipe.name}: it differs in {', '.join(differing)}.")
    return relative


def read_recipe(path: Path) -> tuple[Recipe, int, frozenset[str]]:
    """The recipe that is stored beside a checkpoint, the training's seed, and the speakers that it has heard.

    Raises:
        ValueError: it is damaged; a RecipeError where a key is unknown, missing or of another type.
    """
    content = read_object(path)
    seed, speakers = content.pop("seed", None), content.pop("speakers", None)
    if not fits(seed, int) or not fits(speakers, list[str]):
        raise ValueError(f"{path} lacks the seed or the speakers of the training: train again with this version.")
    return recipe_from(content, path.as_posix()), seed, frozenset(speakers)

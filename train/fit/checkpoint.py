"""A checkpoint folder that anyone can load: weights, configuration, extractor, the code that they need, the recipe."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import snapshot_download

from ser_model.configuration_ser import SERConfig
from ser_model.feature_extraction_ser import SERFeatureExtractor
from ser_model.modeling_ser import SERForAudioClassification, SERModel
from train.fit.recipe import Recipe


RECIPE_FILE = "recipe.json"
SPEAKER_DISJOINT, SPEAKERS_SEEN = "speaker-disjoint", "speakers seen in training"


@dataclass(frozen=True)
class Checkpoint:
    """What a folder holds.

    Args:
        model: the trained network.
        extractor: its feature extractor.
        recipe: what it was trained by.
        seed: of the training.
        speakers: whom training or a choice has heard; a test on one of them is no test on a new voice.
    """

    model: SERForAudioClassification
    extractor: SERFeatureExtractor
    recipe: Recipe
    seed: int
    speakers: frozenset[str]

    def protocol(self, tested_speakers: Iterable[str]) -> str:
        """How a result on these speakers is to be read."""
        return SPEAKERS_SEEN if self.speakers & set(tested_speakers) else SPEAKER_DISJOINT


def save_checkpoint(checkpoint: Checkpoint, folder: Path) -> None:
    """Write the folder; `from_pretrained(folder, trust_remote_code=True)` then needs nothing of this project."""
    SERConfig.register_for_auto_class()
    SERFeatureExtractor.register_for_auto_class("AutoFeatureExtractor")
    SERForAudioClassification.register_for_auto_class("AutoModelForAudioClassification")
    # Registering a class writes its own entry only; AutoModel is to find the encoder in the same folder.
    checkpoint.model.config.auto_map = {"AutoModel": f"modeling_ser.{SERModel.__name__}"}
    checkpoint.model.save_pretrained(folder)
    checkpoint.extractor.save_pretrained(folder)
    content = checkpoint.recipe.to_dict() | {"seed": checkpoint.seed, "speakers": sorted(checkpoint.speakers)}
    (folder / RECIPE_FILE).write_text(json.dumps(content, indent=2) + "\n")


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
    content = json.loads(recipe_path.read_text())
    seed, speakers = content.pop("seed"), content.pop("speakers")
    return Checkpoint(
        SERForAudioClassification.from_pretrained(folder).eval(),
        SERFeatureExtractor.from_pretrained(folder),
        Recipe(**content),
        seed,
        frozenset(speakers),
    )

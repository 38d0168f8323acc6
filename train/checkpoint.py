"""A checkpoint folder that anyone can load: weights, configuration, extractor, the code that they need, the recipe."""

import json
from pathlib import Path

from huggingface_hub import snapshot_download

from ser_model.configuration_ser import SERConfig
from ser_model.feature_extraction_ser import SERFeatureExtractor
from ser_model.modeling_ser import SERForAudioClassification, SERModel
from train.recipe import Recipe, field_names


RECIPE_FILE = "recipe.json"


def save_checkpoint(
    model: SERForAudioClassification, extractor: SERFeatureExtractor, recipe: Recipe, seed: int, folder: Path
) -> None:
    """Write the folder; `from_pretrained(folder, trust_remote_code=True)` then needs nothing of this project."""
    SERConfig.register_for_auto_class()
    SERFeatureExtractor.register_for_auto_class("AutoFeatureExtractor")
    SERForAudioClassification.register_for_auto_class("AutoModelForAudioClassification")
    # Registering a class writes its own entry only; AutoModel is to find the encoder in the same folder.
    model.config.auto_map = {"AutoModel": f"modeling_ser.{SERModel.__name__}"}
    model.save_pretrained(folder)
    extractor.save_pretrained(folder)
    content = {"seed": seed} | recipe.to_dict()
    (folder / RECIPE_FILE).write_text(json.dumps(content, indent=2) + "\n")


def load_checkpoint(path_or_id: str) -> tuple[SERForAudioClassification, SERFeatureExtractor, Recipe]:
    """
    Load what [`save_checkpoint`] wrote, from a folder or from the Hub.

    Raises:
        FileNotFoundError: a folder without the recipe, which tells how the corpora's labels map to the model's.
    """
    folder = Path(path_or_id) if Path(path_or_id).is_dir() else Path(snapshot_download(path_or_id))
    recipe_path = folder / RECIPE_FILE
    if not recipe_path.is_file():
        raise FileNotFoundError(f"{path_or_id} has no {RECIPE_FILE}: it was not written by `python -m train fit`.")
    content = json.loads(recipe_path.read_text())
    recipe = Recipe(**{name: value for name, value in content.items() if name in field_names(Recipe)})
    model = SERForAudioClassification.from_pretrained(folder).eval()
    return model, SERFeatureExtractor.from_pretrained(folder), recipe

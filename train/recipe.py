"""A recipe: everything that defines a system, as data: corpora, labels, features, network, augmentation, training."""

import dataclasses
import difflib
import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from transformers import TrainingArguments

from ser_model.configuration_ser import SERConfig
from ser_model.feature_extraction_ser import SERFeatureExtractor
from train.augmentation import Augmentation


RECIPES = Path(__file__).parent / "recipes"
SPLITS = ("speakers", "random")
BALANCE = ("corpus", "label", "speaker")


class RecipeError(ValueError):
    """A recipe that cannot be used, and why."""


@dataclass
class Recipe:
    """One system. Unknown keys are rejected, so that a typing error never trains something else.

    Args:
        name: name of the recipe, from its file.
        description: one sentence on what the system is.
        corpora: names of the training corpora.
        labels: the emotions that the model tells apart, in the order of its outputs.
        label_map: emotion in a corpus -> emotion of the model, or null to leave its utterances out.
        split: `speakers` keeps the test speakers out of training, `random` draws 80/20 among all utterances.
        features: arguments of SERFeatureExtractor.
        network: fields of SERConfig.
        augmentation: fields of Augmentation; none at evaluation.
        balance: properties whose values get the same total weight in the loss: corpus, label, speaker.
        mask_labels: whether an utterance's loss sees only the labels that its corpus has.
        early_stopping_patience: epochs without a better validation UAR after which training stops; 0 never stops.
        training: arguments of transformers' TrainingArguments.
    """

    name: str
    description: str
    corpora: list[str]
    labels: list[str]
    label_map: dict[str, str | None] = field(default_factory=dict)
    split: str = "speakers"
    features: dict[str, Any] = field(default_factory=dict)
    network: dict[str, Any] = field(default_factory=dict)
    augmentation: dict[str, Any] = field(default_factory=dict)
    balance: list[str] = field(default_factory=list)
    mask_labels: bool = False
    early_stopping_patience: int = 0
    training: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self):
        check_keys(f"{self.name}: features", self.features, extractor_arguments())
        check_keys(f"{self.name}: network", self.network, field_names(SERConfig))
        check_keys(f"{self.name}: augmentation", self.augmentation, field_names(Augmentation))
        check_keys(f"{self.name}: training", self.training, field_names(TrainingArguments))
        check_keys(f"{self.name}: balance", self.balance, BALANCE)
        check_keys(f"{self.name}: split", [self.split], SPLITS)

    def feature_extractor(self) -> SERFeatureExtractor:
        """The extractor that the recipe describes."""
        return SERFeatureExtractor(**self.features)

    def config(self) -> SERConfig:
        """The network's configuration."""
        return SERConfig(
            feature_size=self.feature_extractor().feature_size,
            id2label=dict(enumerate(self.labels)),
            label2id={label: index for index, label in enumerate(self.labels)},
            **self.network,
        )

    def to_dict(self) -> dict[str, Any]:
        """The recipe as plain data, as it is stored beside a checkpoint."""
        return dataclasses.asdict(self)


def load_recipe(name: str, overrides: Iterable[str] = ()) -> Recipe:
    """
    Read a recipe by its name in train/recipes, or by the path of a YAML file.

    Args:
        name: `ser_lstm`, or `my/recipe.yaml`.
        overrides: `key=value` or `section.key=value`; values are YAML.

    Raises:
        RecipeError: no such recipe, an unknown key (the nearest name is suggested), a bad value.
    """
    path = Path(name) if name.endswith((".yaml", ".yml")) else RECIPES / f"{name}.yaml"
    if not path.is_file():
        raise RecipeError(f"There is no recipe {name!r}; there are {', '.join(recipe_names())}, or give a YAML file.")
    content = yaml.safe_load(path.read_text())
    for override in overrides:
        apply_override(content, override)
    content = {"name": path.stem} | content
    check_keys(path.stem, content, field_names(Recipe))
    missing = [name for name in ("description", "corpora", "labels") if name not in content]
    if missing:
        raise RecipeError(f"{path.stem}: {', '.join(missing)} missing.")
    return Recipe(**content)


def recipe_names() -> list[str]:
    """Names of the recipes that come with the project."""
    return sorted(path.stem for path in RECIPES.glob("*.yaml"))


def apply_override(content: dict[str, Any], override: str) -> None:
    """Set one `section.key=value` in a recipe's content."""
    key, separator, value = override.partition("=")
    if not separator:
        raise RecipeError(f"--set takes key=value, for instance training.num_train_epochs=3; got {override!r}.")
    *sections, key = key.split(".")
    for section in sections:
        content = content.setdefault(section, {})
        if not isinstance(content, dict):
            raise RecipeError(f"--set {override}: {section} is a value, it has no keys.")
    content[key] = yaml.safe_load(value)


def check_keys(where: str, keys: Iterable[str] | Mapping[str, Any], known: Iterable[str]) -> None:
    """Raise RecipeError for a key that is not known, with the nearest one that is."""
    known = list(known)
    for key in keys:
        if key not in known:
            nearest = difflib.get_close_matches(str(key), known, n=1, cutoff=0.0)
            raise RecipeError(f"{where}: there is no {key!r}; did you mean {nearest[0]!r}?")


def field_names(cls: type) -> list[str]:
    """Names of a dataclass' fields."""
    return [entry.name for entry in dataclasses.fields(cls)]


def extractor_arguments() -> list[str]:
    """Names of the extractor's arguments."""
    return [
        name for name in inspect.signature(SERFeatureExtractor.__init__).parameters if name not in ("self", "kwargs")
    ]

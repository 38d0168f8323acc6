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
from train.augment.augmentation import Augmentation
from train.augment.waveform_augmentation import WaveformAugmentation


RECIPES = Path(__file__).parents[1] / "recipes"
SPLITS = ("speakers", "random")
LARGEST_ADJUSTMENT = 5.0  # far beyond what is of use
FUNCTIONAL_FEATURES = ["mfcc", "spectral_shape", "f0"]
BALANCE = ("corpus", "label", "speaker")
SECTIONS = ("label_map", "features", "network", "augmentation", "waveform_augmentation", "training")


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
        validation_fraction: share of the training speakers, or of the clips of a random split, held out for choices.
        shares: corpus -> share of its training utterances to use, for one that is large but has few speakers.
        features: arguments of SERFeatureExtractor.
        network: fields of SERConfig.
        augmentation: fields of Augmentation, of spectrograms and batches; none at evaluation.
        waveform_augmentation: fields of WaveformAugmentation; none at evaluation. Clips are then decoded in every
            epoch: give training.dataloader_num_workers as many workers as there are processors to spare.
        balance: properties whose values get the same total weight in the loss: corpus, label, speaker.
        mask_labels: whether an utterance's loss sees only the labels that its corpus has; in cross-validation its
            prediction is then one of those labels, too.
        logit_adjustment: how many times the logarithm of a label's frequency in its corpus is added to its logit in
            the loss. With 1 the network predicts as if all labels were equally frequent (Menon et al. 2021), and it
            is sure of its answers as if they were.
        refit: whether, once the temperature is fitted, a second training from the beginning hears the validation clips
            as well. It takes twice as long and no choice is made by it.
        early_stopping_patience: epochs without a better validation UAR after which training stops; 0 never stops.
        streaming: train from a stream, for corpora of any size: tables with audio (`hub:OWNER/NAME`, `parquet:PATH`)
            that are neither downloaded nor held in memory. It has no epochs: `training.max_steps` ends it, and it is
            evaluated ten times on the way, which is what early stopping counts then.
        training: arguments of transformers' TrainingArguments.
    """

    name: str
    description: str
    corpora: list[str]
    labels: list[str]
    label_map: dict[str, str | None] = field(default_factory=dict)
    split: str = "speakers"
    validation_fraction: float = 0.2
    shares: dict[str, float] = field(default_factory=dict)
    features: dict[str, Any] = field(default_factory=dict)
    network: dict[str, Any] = field(default_factory=dict)
    augmentation: dict[str, Any] = field(default_factory=dict)
    waveform_augmentation: dict[str, Any] = field(default_factory=dict)
    balance: list[str] = field(default_factory=list)
    mask_labels: bool = False
    logit_adjustment: float = 0.0
    refit: bool = False
    early_stopping_patience: int = 0
    streaming: bool = False
    training: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self):
        for section in SECTIONS:
            if not isinstance(getattr(self, section), dict):
                raise RecipeError(f"{self.name}: {section} needs keys and values, got {getattr(self, section)!r}.")
        check_keys(f"{self.name}: features", self.features, extractor_arguments())
        check_keys(f"{self.name}: network", self.network, field_names(SERConfig))
        check_keys(f"{self.name}: augmentation", self.augmentation, field_names(Augmentation))
        check_keys(
            f"{self.name}: waveform_augmentation", self.waveform_augmentation, field_names(WaveformAugmentation)
        )
        check_keys(f"{self.name}: training", self.training, field_names(TrainingArguments))
        check_keys(f"{self.name}: balance", self.balance, BALANCE)
        check_keys(f"{self.name}: split", [self.split], SPLITS)
        WaveformAugmentation(**self.waveform_augmentation)  # raises for a strength that is impossible
        if self.refit and self.early_stopping_patience:
            raise RecipeError(
                f"{self.name}: a training on all clips has none left to stop by; leave out refit, or "
                f"early_stopping_patience."
            )
        if self.logit_adjustment:
            self._check_adjustment()
        if self.network.get("functionals"):
            self._check_functionals()
        if self.streaming:
            self._check_streaming()

    def _check_adjustment(self) -> None:
        """Raise RecipeError for an adjustment without a frequency to adjust for, or for one that is balanced twice."""
        if not isinstance(self.logit_adjustment, int | float) or not 0 < self.logit_adjustment <= LARGEST_ADJUSTMENT:
            raise RecipeError(
                f"{self.name}: logit_adjustment must be between 0 and {LARGEST_ADJUSTMENT}, "
                f"got {self.logit_adjustment!r}."
            )
        if not self.mask_labels:
            raise RecipeError(
                f"{self.name}: logit_adjustment needs mask_labels: true; a label that a corpus lacks has no frequency."
            )
        if "label" in self.balance:
            raise RecipeError(f"{self.name}: logit_adjustment balances labels already; leave label out of balance.")

    def _check_functionals(self) -> None:
        """Raise RecipeError for features that functionals are not made of, or cannot be blended."""
        names = list(self.features.get("feature_names", ["mfcc"]))
        if names != FUNCTIONAL_FEATURES:
            raise RecipeError(
                f"{self.name}: network.functionals needs features.feature_names=[{', '.join(FUNCTIONAL_FEATURES)}], "
                f"in this order; got [{', '.join(names)}]."
            )
        if self.augmentation.get("mixup"):
            raise RecipeError(
                f"{self.name}: the mean of two pitches is none; leave out augmentation.mixup, or network.functionals."
            )

    def _check_streaming(self) -> None:
        """Raise RecipeError for what a stream cannot do."""
        if self.refit:
            raise RecipeError(f"{self.name}: a stream holds no clips to train on once more; leave out refit.")
        if self.shares:
            raise RecipeError(
                f"{self.name}: shares of a corpus cannot be taken while streaming; leave out one of them."
            )
        if self.network.get("voice_directions"):
            raise RecipeError(
                f"{self.name}: the rows of a stream do not tell speakers apart; leave out network.voice_directions."
            )
        if self.logit_adjustment:
            raise RecipeError(f"{self.name}: a stream is balanced by weights; leave out logit_adjustment.")
        if self.waveform_augmentation.get("copies"):
            raise RecipeError(f"{self.name}: a stream is not stored; leave out waveform_augmentation.copies.")
        if self.training.get("max_steps", 0) <= 0:
            raise RecipeError(
                f"{self.name}: a stream has no length, so streaming needs training.max_steps: the number of batches "
                f"to train on, for instance --set training.max_steps=10000 (clips * epochs / batch size)."
            )

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
    if not isinstance(content, dict):
        raise RecipeError(f"{path} holds {type(content).__name__}, not the keys of a recipe.")
    for override in overrides:
        apply_override(content, override)
    content = {"name": path.stem} | content
    check_keys(path.stem, content, field_names(Recipe))
    missing = [name for name in ("description", "corpora", "labels") if name not in content]
    if missing:
        raise RecipeError(f"{path.stem}: {', '.join(missing)} missing.")
    return Recipe(**content)


def with_later_fields(stored: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe as some version of the project stored it, and the fields that came later, at their defaults."""
    return {**Recipe(name="", description="", corpora=[], labels=[]).to_dict(), **stored}


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

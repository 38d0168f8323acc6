"""A recipe: everything that defines a system, as data: corpora, labels, features, network, augmentation, training."""

import contextlib
import dataclasses
import difflib
import functools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_type_hints

import yaml
from huggingface_hub.errors import StrictDataclassError
from transformers import TrainingArguments

from ser_model.configuration_ser import SERConfig
from ser_model.feature_extraction_ser import SERFeatureExtractor
from train.augment.augmentation import Augmentation
from train.augment.waveform_augmentation import WaveformAugmentation
from train.fit.kinds import check_kinds


RECIPES = Path(__file__).parents[1] / "recipes"
SPLITS = ("speakers", "random")
LARGEST_ADJUSTMENT = 5.0  # far beyond what is of use
FUNCTIONAL_FEATURES = ["mfcc", "spectral_shape", "f0"]
BALANCE = ("corpus", "label")
MERGED = ("features", "network", "augmentation", "waveform_augmentation", "training")
SECTIONS = ("label_map", *MERGED)


class RecipeSafeLoader(yaml.SafeLoader):
    """YAML whose 1e-3 is a number, as everywhere but in YAML 1.1."""


EXPONENT = re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+$")
RecipeSafeLoader.add_implicit_resolver("tag:yaml.org,2002:float", EXPONENT, list("-+0123456789"))


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
        augmentation: fields of Augmentation, of spectrograms; none at evaluation.
        waveform_augmentation: fields of WaveformAugmentation; none at evaluation. Clips are then decoded in every
            epoch: give training.dataloader_num_workers as many workers as there are processors to spare.
        balance: properties whose values get the same total weight in the loss: corpus, label.
        mask_labels: whether an utterance's loss sees only the labels that its corpus has; in cross-validation its
            prediction is then one of those labels, too.
        logit_adjustment: how many times the logarithm of a label's frequency in its corpus is added to its logit in
            the loss. With 1 the network predicts as if all labels were equally frequent (Menon et al. 2021), and it
            is sure of its answers as if they were.
        refit: whether, once the temperature is fitted, a second training from the beginning hears the validation clips
            as well. It takes twice as long and no choice is made by it.
        start: recipe of the same network whose checkpoint the training begins with, its normalisation and temperature
            included; `fit` finds it in the folder of that name beside its output. Needs refit.
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
    start: str | None = None
    early_stopping_patience: int = 0
    streaming: bool = False
    training: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self):
        for section in SECTIONS:
            if not isinstance(getattr(self, section), dict):
                raise RecipeError(f"{self.name}: {section} needs keys and values, got {getattr(self, section)!r}.")
        for section, kinds in section_kinds().items():
            check_keys(f"{self.name}: {section}", getattr(self, section), kinds)
        with named(self.name):
            check_kinds("", vars(self), get_type_hints(Recipe))
            for section, kinds in section_kinds().items():
                check_kinds(f"{section}.", getattr(self, section), kinds)
        check_keys(f"{self.name}: balance", self.balance, BALANCE)
        check_keys(f"{self.name}: split", [self.split], SPLITS)
        with named(self.name):  # what is impossible or does not go together
            Augmentation(**self.augmentation)
            WaveformAugmentation(**self.waveform_augmentation)
        if self.refit and self.early_stopping_patience:
            raise RecipeError(
                f"{self.name}: a training on all clips has none left to stop by; leave out refit, or "
                f"early_stopping_patience."
            )
        if self.start and not self.refit:
            raise RecipeError(f"{self.name}: what it starts from has heard the validation speakers; set refit: true.")
        if self.logit_adjustment:
            self._check_adjustment()
        if self.network.get("functionals"):
            self._check_functionals()
        if self.streaming:
            self._check_streaming()
        with named(self.name):
            self.config()

    def _check_adjustment(self) -> None:
        """Raise RecipeError for an adjustment without a frequency to adjust for, or for one that is balanced twice."""
        if not 0 < self.logit_adjustment <= LARGEST_ADJUSTMENT:
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
        """Raise RecipeError for features that functionals are not made of."""
        names = list(self.features.get("feature_names", ["mfcc"]))
        if names != FUNCTIONAL_FEATURES:
            raise RecipeError(
                f"{self.name}: network.functionals needs features.feature_names=[{', '.join(FUNCTIONAL_FEATURES)}], "
                f"in this order; got [{', '.join(names)}]."
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
        extractor = self.feature_extractor()
        return SERConfig(
            feature_size=extractor.feature_size,
            feature_names=extractor.feature_names,
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
        RecipeError: no such recipe or `base`, an unknown key (the nearest name is suggested), a bad value.
    """
    path = recipe_path(name)
    content = read_recipe(path)
    for override in overrides:
        apply_override(content, override)
    return recipe_from({"name": path.stem} | content, path.stem)


def recipe_path(name: str) -> Path:
    """The file of a recipe, by its name or by its own path."""
    if name.endswith((".yaml", ".yml")):
        found = [path for path in [Path(name)] if path.is_file()]
    else:
        found = [path for path in RECIPES.rglob("*.yaml") if path.stem == name]
    if not found:
        raise RecipeError(f"There is no recipe {name!r}; there are {', '.join(recipe_names())}, or give a YAML file.")
    return found[0]


def read_recipe(path: Path, deriving: tuple[Path, ...] = ()) -> dict[str, Any]:
    """
    Content of a recipe's file, over that of the recipe that its `base` names, if any.

    Of the settings in `MERGED` sections, those that the file does not mention are the base's, and null takes the
    default. Everything else that the file mentions replaces what the base has.
    """
    content = yaml.load(path.read_text(), RecipeSafeLoader)
    if not isinstance(content, dict):
        raise RecipeError(f"{path} holds {type(content).__name__}, not the keys of a recipe.")
    if "base" not in content:
        return content
    base = recipe_path(str(content.pop("base")))
    if base in (path, *deriving):
        raise RecipeError(f"{path}: its base {base.stem} is based on it.")
    inherited = read_recipe(base, (path, *deriving))
    for section in MERGED:
        own, others = content.get(section, {}), inherited.get(section, {})
        if isinstance(own, dict) and isinstance(others, dict):
            content[section] = {name: value for name, value in {**others, **own}.items() if value is not None}
    return {**inherited, **content}


def recipe_from(content: Mapping[str, Any], where: str) -> Recipe:
    """A recipe of plain data; `where` it comes from is what messages call it.

    Raises:
        RecipeError: an unknown key (the nearest name is suggested), a missing one, or a bad value.
    """
    check_keys(where, content, field_names(Recipe))
    missing = [name for name in ("name", "description", "corpora", "labels") if name not in content]
    if missing:
        raise RecipeError(f"{where}: {', '.join(missing)} missing.")
    return Recipe(**content)


def with_later_fields(stored: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe as some version of the project stored it, and the fields that came later, at their defaults."""
    return {**Recipe(name="", description="", corpora=[], labels=[]).to_dict(), **stored}


def recipe_names() -> list[str]:
    """Names of the recipes that come with the project."""
    return sorted(path.stem for path in RECIPES.rglob("*.yaml"))


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
    try:
        content[key] = yaml.load(value, RecipeSafeLoader)
    except yaml.YAMLError as error:
        raise RecipeError(f"--set {override}: the value is no YAML: {' '.join(str(error).split())}") from error


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


@functools.cache
def section_kinds() -> dict[str, dict[str, Any]]:
    """Section -> key -> its type."""
    of_classes = {
        "network": SERConfig,
        "augmentation": Augmentation,
        "waveform_augmentation": WaveformAugmentation,
        "training": TrainingArguments,
    }
    extractor = get_type_hints(SERFeatureExtractor.__init__)
    # A type that is written as text names modules that transformers does not load: those fields are no recipe's.
    kinds = {
        section: {entry.name: Any if isinstance(entry.type, str) else entry.type for entry in dataclasses.fields(cls)}
        for section, cls in of_classes.items()
    }
    return {"features": {name: kind for name, kind in extractor.items() if name != "return"}} | kinds


@contextlib.contextmanager
def named(recipe: str) -> Iterator[None]:
    """Context whose errors become a RecipeError, on one line, with the recipe's name in front."""
    try:
        yield
    except (ValueError, StrictDataclassError) as error:
        cause = error.__cause__ if isinstance(error, StrictDataclassError) else error
        raise RecipeError(f"{recipe}: {' '.join(str(cause).split())}") from error

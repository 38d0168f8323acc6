"""The classical baseline: eGeMAPS functionals (Eyben et al. 2016, by openSMILE) and a support vector machine.

    python -m benchmarks.egemaps --protocol ravdess emodb --corpora-root DIR
    python -m benchmarks.egemaps --protocol cross-corpus --recipe ser_lstm --corpora-root DIR

It is trained and tested on the clips that `python -m train crossvalidate` takes for the same protocol and recipe:
every clip that is not tested trains, and what the machine has to choose it chooses on training speakers alone. The
figures go to egemaps.json beside this file, one entry for each protocol and recipe.
"""

import argparse
import functools
import json
import logging
import os
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import opensmile
import pandas as pd
from datasets import Dataset, Features, List, Value
from datasets.fingerprint import Hasher
from sklearn.metrics import make_scorer
from sklearn.model_selection import GridSearchCV, GroupKFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from tqdm.auto import tqdm

from ser_model.audio_io import SAMPLING_RATE, load_audio
from train.data import CORPORA, CorpusError, Fold, get_folds, get_protocol, load_corpus, protocols, split_fold
from train.data.base import ordered_labels, plural
from train.data.feature_cache import changes_of, computed_once
from train.evaluation.crossvalidate import load_task
from train.evaluation.reporting import interval_text
from train.evaluation.scoring import bootstrap_interval, unweighted_average_recall
from train.fit.recipe import Recipe, load_recipe
from train.fit.training import every_training_clip, shares_of_corpora


RESULTS = Path(__file__).with_name("egemaps.json")
SETTINGS = [  # of the machine, to choose from
    {"svc__kernel": ["rbf"], "svc__C": [0.1, 1.0, 10.0]},
    {"svc__kernel": ["linear"], "svc__C": [0.001, 0.01, 0.1]},
]
INNER_FOLDS = 3  # of training speakers, to choose with
FUNCTIONALS = Features({"functionals": List(Value("float32"))})


@functools.cache
def smile() -> opensmile.Smile:
    """openSMILE with the 88 functionals of a clip; made once in each process."""
    return opensmile.Smile(
        feature_set=opensmile.FeatureSet.eGeMAPSv02, feature_level=opensmile.FeatureLevel.Functionals
    )


def functionals_of_clip(clip: Mapping[str, str], _rank: int | None = None) -> dict[str, np.ndarray]:
    """The 88 functionals of one clip, decoded as the recogniser decodes it."""
    return {"functionals": smile().process_signal(load_audio(clip["path"]), SAMPLING_RATE).to_numpy()[0]}


def with_functionals(dataset: Dataset, corpora_root: Path) -> Dataset:
    """A dataset with the column `functionals`; those of each corpus are computed once for all protocols."""
    by_path: dict[str, list[float]] = {}
    for corpus in dict.fromkeys(dataset["corpus"][:]):
        paths = load_corpus(corpus, corpora_root)["path"][:]
        name = f"egemaps_{Hasher.hash((changes_of(paths), version('opensmile')))}"
        stored = computed_once(functionals_of_clip, paths, FUNCTIONALS, name, desc=f"eGeMAPS of {corpus}")
        by_path |= zip(paths, stored["functionals"][:], strict=True)
    return dataset.add_column("functionals", [by_path[path] for path in dataset["path"][:]])


def fitted(training: Dataset) -> GridSearchCV:
    """Standardised functionals and an SVM, with the settings that are best on training speakers left out."""
    labels, speakers = training["label"][:], training["speaker"][:]
    several = min(INNER_FOLDS, len(set(speakers)))
    alone = several == 1  # TESS trains on one actress
    folds = StratifiedKFold(INNER_FOLDS) if alone else GroupKFold(several)
    machine = make_pipeline(StandardScaler(), SVC(class_weight="balanced"))
    search = GridSearchCV(machine, SETTINGS, scoring=make_scorer(unweighted_average_recall), cv=folds)
    return search.fit(np.array(training["functionals"][:]), labels, groups=None if alone else speakers)


def tested(dataset: Dataset, fold: Fold, shares: Mapping[str, float]) -> pd.DataFrame:
    """Corpus, speaker, label and prediction of the clips that a fold tests, and the settings that were chosen."""
    splits = split_fold(dataset, fold)
    splits["train"] = shares_of_corpora(splits["train"], shares)
    search, test = fitted(every_training_clip(splits, shares)), splits["test"]
    names = np.array(dataset.features["label"].names)
    table = test.select_columns(["corpus", "speaker"]).to_pandas()
    return table.assign(
        fold=fold.name,
        label=names[test["label"][:]],
        prediction=names[search.predict(np.array(test["functionals"][:]))],
        settings=f"{search.best_params_['svc__kernel']}, C = {search.best_params_['svc__C']:g}",
    )


def recipe_of(protocol: str, name: str | None) -> Recipe:
    """The recipe of that name; by default the protocol's corpus alone, with all its labels."""
    if name is not None:
        return load_recipe(name)
    corpus = get_protocol(protocol).corpus
    if corpus is None:
        raise CorpusError(f"The protocol {protocol} is about several corpora: name a --recipe that has them.")
    labels = ordered_labels(CORPORA[corpus].labels.values())
    return Recipe(f"{corpus} alone", "All labels of one corpus.", [corpus], labels)


def measure(protocol: str, recipe_name: str | None, corpora_root: Path) -> dict[str, Any]:
    """Train and test on every fold of a protocol; what is written to the results."""
    recipe, dataset = load_task(recipe_of(protocol, recipe_name), protocol, corpora_root)
    folds = get_folds(protocol, dataset["speaker"][:])
    dataset = with_functionals(dataset, corpora_root)
    predictions = pd.concat(tested(dataset, fold, recipe.shares) for fold in tqdm(folds, desc=protocol, unit="fold"))
    return {
        "protocol": get_protocol(protocol).title,
        "recipe": recipe.name,
        "trained_on": recipe.corpora,
        "labels": recipe.labels,
        "command": f"python -m benchmarks.egemaps --protocol {protocol}"
        + (f" --recipe {recipe_name}" if recipe_name else ""),
        "versions": {name: version(name) for name in ("opensmile", "scikit-learn")},
        **figures_of(predictions),
        "folds": {
            name: figures_of(rows) | {"settings": rows["settings"].iloc[0]}
            for name, rows in predictions.groupby("fold")
        },
    }


def figures_of(predictions: pd.DataFrame) -> dict[str, Any]:
    """Figures of predictions, pooled; shares are between 0 and 1."""
    labels, predicted = predictions["label"].to_numpy(), predictions["prediction"].to_numpy()
    return {
        "clips": len(predictions),
        "speakers": int(predictions["speaker"].nunique()),
        "uar": unweighted_average_recall(labels, predicted),
        "uar_interval": bootstrap_interval(predictions),
        "accuracy": float((labels == predicted).mean()),
    }


def line(figures: Mapping[str, Any]) -> str:
    """Figures in a line for the screen."""
    return (
        f"UAR {100 * figures['uar']:.1f} % ({interval_text(figures)}), accuracy {100 * figures['accuracy']:.1f} %, "
        f"{plural(figures['clips'], 'clip')} of {plural(figures['speakers'], 'speaker')}"
    )


def main() -> int:
    """Measure the protocols, print and write the figures; 1 if something given is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.egemaps", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--protocol", nargs="+", required=True, metavar="NAME", help=", ".join(protocols()))
    parser.add_argument(
        "--recipe", metavar="NAME", help="its corpora and labels (default: the protocol's corpus alone)"
    )
    parser.add_argument("--corpora-root", default=os.environ.get("SER_CORPORA"), help="(default: $SER_CORPORA)")
    parser.add_argument("--output", type=Path, default=RESULTS, help="(default: %(default)s)")
    options = parser.parse_args()
    if not options.corpora_root:
        parser.error("where are the corpora? Give --corpora-root DIR, or set SER_CORPORA")
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    for protocol in options.protocol:
        try:
            result = measure(protocol, options.recipe, Path(options.corpora_root))
        except ValueError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        for name, figures in result["folds"].items():
            print(f"  {name}: {line(figures)}")
        print(f"{protocol}, {result['recipe']}: {line(result)}", flush=True)
        results = json.loads(options.output.read_text()) if options.output.is_file() else {}
        results[f"{protocol}, {result['recipe']}"] = result
        options.output.write_text(json.dumps(results, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

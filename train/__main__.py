"""Train and evaluate: `python -m train --help`."""

import argparse
import json
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path


EXAMPLES = """examples:
  python -m train download ravdess --corpora-root CORPORA
  python -m train recipes
  python -m train fit ravdess_lstm --corpora-root CORPORA --output runs/ravdess_lstm
  python -m train fit ser_lstm --output runs/short --set training.num_train_epochs=3
  python -m train fit ravdess_lstm --corpora hub:OWNER/NAME --output runs/other
  python -m train crossvalidate ravdess_lstm --protocol ravdess --seeds 0 1 2 --output runs/ravdess_folds
  python -m train compare runs/ravdess_folds runs/ravdess_lstm
  python -m train explore ravdess CLIP --output runs/pictures
  python -m train evaluate ser_model/pretrained --corpora ravdess tess --output runs/evaluation
"""


def main(arguments: list[str] | None = None) -> int:
    """Run one command; 0 on success, 1 when something given is wrong."""
    options = parse(arguments)
    if not sys.stderr.isatty():
        os.environ.setdefault("TQDM_DISABLE", "1")  # progress bars would fill a log file
    logging.basicConfig(level=logging.INFO if is_first_process() else logging.ERROR, format="%(message)s")
    for library in ("httpx", "httpx2"):
        logging.getLogger(library).setLevel(logging.WARNING)  # they log every request
    try:
        return options.run(options)
    except (ValueError, OSError) as error:
        if options.traceback:
            raise
        print(f"error: {error}", file=sys.stderr)
        return 1


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m train",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    adders = (add_download, add_fit, add_crossvalidate, add_evaluate, add_compare, add_explore, add_recipes, add_card)
    for add in adders:
        add(commands).add_argument("--traceback", action="store_true", help="show where an error came from")
    return parser.parse_args(arguments)


def add_download(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """`download` and its arguments."""
    download = commands.add_parser(
        "download",
        help="get a corpus",
        description="Download a corpus into the folder of the corpora, and check that no clip is missing. Started "
        "again after an interruption, it goes on where it was.",
    )
    download.add_argument("corpus", metavar="CORPUS", help="ravdess, tess, crema_d or emodb")
    download.add_argument(
        "--from",
        dest="source",
        metavar="SOURCE",
        help="another copy: hub:OWNER/NAME, kaggle:OWNER/NAME, or the URL of an archive",
    )
    download.add_argument(
        "--manifest", type=Path, metavar="CSV", help="SHA-256 sums to check against: columns file, sha256, bytes"
    )
    add_corpora_root(download)
    download.set_defaults(run=run_download)
    return download


def add_fit(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """`fit` and its arguments."""
    fit = commands.add_parser("fit", help="train a recipe", description="Train a recipe, and test what came out.")
    add_recipe(fit)
    fit.add_argument(
        "--corpora",
        nargs="+",
        metavar="NAME",
        help="train on these instead of the recipe's: ravdess, folder:PATH, table:PATH, parquet:PATH, hub:OWNER/NAME",
    )
    fit.add_argument("--output", type=Path, required=True, metavar="DIR", help="where the checkpoint goes")
    fit.add_argument("--seed", type=int, default=0, help="of weights, order and augmentation (default: 0)")
    fit.add_argument("--resume", action="store_true", help="go on from the last checkpoint in the output folder")
    add_corpora_root(fit)
    fit.set_defaults(run=run_fit)
    return fit


def add_crossvalidate(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """`crossvalidate` and its arguments."""
    crossvalidate = commands.add_parser(
        "crossvalidate",
        help="train and test a recipe on every fold of a protocol",
        description="Train and test a recipe on every fold of a protocol, with several seeds. Started again after an "
        "interruption, it goes on where it was.",
    )
    add_recipe(crossvalidate)
    crossvalidate.add_argument("--protocol", required=True, metavar="NAME", help="of train/corpora/splits.py: ravdess")
    crossvalidate.add_argument(
        "--seeds", type=int, nargs="+", default=[0], metavar="N", help="one training for each (default: 0)"
    )
    crossvalidate.add_argument("--folds", nargs="+", metavar="NAME", help="only these (default: all)")
    crossvalidate.add_argument(
        "--jobs", type=int, metavar="N", help="trainings at the same time (default: one for each processor)"
    )
    crossvalidate.add_argument("--output", type=Path, required=True, metavar="DIR", help="where everything goes")
    add_corpora_root(crossvalidate)
    crossvalidate.set_defaults(run=run_crossvalidate)
    return crossvalidate


def add_evaluate(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """`evaluate` and its arguments."""
    evaluate = commands.add_parser(
        "evaluate", help="test a checkpoint", description="Test a checkpoint on speakers that it never heard."
    )
    evaluate.add_argument("model", metavar="MODEL", help="folder of a checkpoint, or its id on the Hub")
    evaluate.add_argument("--corpora", nargs="+", required=True, metavar="NAME", help="corpora to test on")
    evaluate.add_argument(
        "--split", default="test", choices=("train", "validation", "test", "all"), help="(default: test)"
    )
    evaluate.add_argument("--output", type=Path, required=True, metavar="DIR", help="where the figures go")
    add_corpora_root(evaluate)
    evaluate.set_defaults(run=run_evaluate)
    return evaluate


def add_compare(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """`compare` and its arguments."""
    compare = commands.add_parser(
        "compare",
        help="a table of results side by side",
        description="Print results side by side, each protocol under its own heading; write comparison.md and .csv.",
    )
    compare.add_argument(
        "runs", metavar="RUN", nargs="+", type=Path, help="output folder of fit, evaluate or crossvalidate"
    )
    compare.add_argument(
        "--output", type=Path, default=Path(), metavar="DIR", help="where the tables go (default: here)"
    )
    compare.set_defaults(run=run_compare)
    return compare


def add_explore(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """`explore` and its arguments."""
    explore = commands.add_parser(
        "explore",
        help="look at clips and corpora",
        description="Draw clips (waveform, amplitude envelope, spectrogram, MFCC) and corpora (labels, durations, "
        "sexes, speakers).",
    )
    explore.add_argument("what", metavar="CLIP_OR_CORPUS", nargs="+", help="audio files, and names of corpora")
    explore.add_argument("--output", type=Path, required=True, metavar="DIR", help="where the figures go")
    add_corpora_root(explore)
    explore.set_defaults(run=run_explore)
    return explore


def add_recipes(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """`recipes` and its arguments."""
    recipes = commands.add_parser(
        "recipes",
        help="list the recipes",
        description="List recipes: corpora, labels, features, network, parameters and size. No data is loaded.",
    )
    recipes.add_argument("names", metavar="RECIPE", nargs="*", help="name or YAML file (default: all)")
    recipes.set_defaults(run=run_recipes)
    return recipes


def add_card(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """`card` and its arguments."""
    card = commands.add_parser(
        "card",
        help="write the model card",
        description="Write model_card.md and README's tables from measured figures.",
    )
    card.add_argument(
        "model", metavar="MODEL", nargs="?", default="ser_model/pretrained", help="an evaluated checkpoint"
    )
    card.add_argument("--output", type=Path, default=Path("model_card.md"), help="(default: model_card.md)")
    card.add_argument("--readme", type=Path, help="also write the tables into this README")
    card.add_argument(
        "--benchmarks", type=Path, default=Path("benchmarks/results.json"), help="what `make bench` wrote"
    )
    card.set_defaults(run=run_card)
    return card


def add_recipe(command: argparse.ArgumentParser) -> None:
    """A recipe, and changes to it."""
    command.add_argument("recipe", metavar="RECIPE", help="name of a recipe in train/recipes, or a YAML file")
    command.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change the recipe: training.learning_rate=0.002",
    )


def add_corpora_root(command: argparse.ArgumentParser) -> None:
    """Where the corpora are."""
    command.add_argument(
        "--corpora-root",
        type=Path,
        default=os.environ.get("SER_CORPORA"),
        metavar="DIR",
        help="folder with a folder for each corpus (default: $SER_CORPORA)",
    )


def run_download(options: argparse.Namespace) -> int:
    """Get a corpus."""
    from train.download import download

    root = corpora_root(options)
    folder, clips = download(options.corpus, root, address=options.source, manifest=options.manifest)
    print(f"{folder} has all {clips:,} clips. Look at them: python -m train explore {options.corpus} --output DIR")
    return 0


def run_fit(options: argparse.Namespace) -> int:
    """Train, then test on the recipe's test utterances."""
    from train.fit import fit, load_splits
    from train.recipe import load_recipe
    from train.report import report

    own_corpora = [f"corpora={json.dumps(options.corpora)}"] if options.corpora else []
    recipe = load_recipe(options.recipe, [*options.set, *own_corpora])
    root = corpora_root(options, recipe.corpora)
    splits = load_splits(recipe, root, options.seed)
    checkpoint = fit(recipe, splits, options.output, seed=options.seed, resume=options.resume)
    if not is_first_process():
        return 0
    if len(splits["test"]):
        report(checkpoint, splits["test"], options.output, split="test", corpora_root=root)
    print(f"The checkpoint is in {options.output}; try it: python -m ser_model CLIP --model {options.output}")
    return 0


def is_first_process() -> bool:
    """Whether this is the only process, or the first of those that torchrun or accelerate started."""
    return os.environ.get("RANK", "0") == "0"


def run_crossvalidate(options: argparse.Namespace) -> int:
    """Train and test on every fold."""
    from train.crossvalidate import crossvalidate
    from train.recipe import load_recipe

    crossvalidate(
        load_recipe(options.recipe, options.set),
        options.protocol,
        corpora_root(options),
        options.output,
        seeds=options.seeds,
        folds=options.folds,
        jobs=options.jobs,
    )
    print(f"Figures and every prediction are in {options.output}")
    return 0


def run_evaluate(options: argparse.Namespace) -> int:
    """Test a checkpoint."""
    from train.checkpoint import load_checkpoint
    from train.corpora import load_corpora, official_split
    from train.report import report

    checkpoint = load_checkpoint(options.model)
    recipe, root = checkpoint.recipe, corpora_root(options, options.corpora)
    dataset = load_corpora(options.corpora, root, labels=recipe.labels, label_map=recipe.label_map)
    chosen = dataset if options.split == "all" else official_split(dataset)[options.split]
    if not len(chosen):
        raise ValueError(f"{', '.join(options.corpora)}: the split {options.split!r} has no clips; try --split all.")
    report(checkpoint, chosen, options.output, split=options.split, corpora_root=root)
    return 0


def run_compare(options: argparse.Namespace) -> int:
    """Print and write tables of results."""
    from train.compare import compare

    print(compare(options.runs, options.output))
    return 0


def run_explore(options: argparse.Namespace) -> int:
    """Draw clips and corpora."""
    from train.explore import explore

    for path in explore(options.what, options.corpora_root, options.output):
        print(path)
    return 0


def run_recipes(options: argparse.Namespace) -> int:
    """Print the recipes."""
    from train.recipe_listing import listing

    print(listing(options.names))
    return 0


def run_card(options: argparse.Namespace) -> int:
    """Render the card, and the tables of a README."""
    from train.model_card import render_model_card, render_readme

    render_model_card(Path(options.model)).save(options.output)
    if options.readme:
        readme = render_readme(options.readme.read_text(), Path(options.model), options.benchmarks)
        options.readme.write_text(readme)
    return 0


def corpora_root(options: argparse.Namespace, names: Sequence[str] = ()) -> Path:
    """The folder with the corpora; the working directory where none is given and all corpora are on the Hub."""
    if options.corpora_root is None and names and all(name.startswith("hub:") for name in names):
        return Path()
    if options.corpora_root is None:
        raise ValueError("Where are the corpora? Give --corpora-root DIR, or set SER_CORPORA.")
    return Path(options.corpora_root)


if __name__ == "__main__":
    sys.exit(main())

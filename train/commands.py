"""Commands of `python -m train`, a function for each; `arguments` has their command line."""

import argparse
import contextlib
import dataclasses
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING


if TYPE_CHECKING:  # imported where they are needed: a command that needs neither starts at once
    from datasets import Dataset

    from train.fit.checkpoint import Checkpoint
    from train.fit.recipe import Recipe


def run_download(options: argparse.Namespace) -> int:
    """Get a corpus, or list them."""
    from train.data.download import download, listing

    if options.corpus is None:
        print(listing())
        return 0
    root = corpora_root(options)
    folder, clips = download(options.corpus, root, address=options.source, manifest=options.manifest)
    print(f"{folder} has all {clips:,} clips. Look at them: python -m train explore {options.corpus} --output DIR")
    return 0


def run_fit(options: argparse.Namespace) -> int:
    """Train, then test on the recipe's test utterances."""
    from train.evaluation.reporting import report
    from train.fit.recipe import load_recipe
    from train.fit.run_folder import locked
    from train.fit.training import fit, load_splits

    own_corpora = [f"corpora={json.dumps(options.corpora)}"] if options.corpora else []
    recipe = load_recipe(options.recipe, [*options.set, *own_corpora])
    root = corpora_root(options, recipe.corpora)
    if options.corpora and not any(change.startswith(("labels=", "label_map")) for change in options.set):
        recipe = with_own_labels(recipe, root)
    with locked(options.output) if is_first_process() else contextlib.nullcontext():
        splits = load_splits(recipe, root, options.seed)
        checkpoint = fit(recipe, splits, options.output, seed=options.seed, resume=options.resume)
        if not is_first_process():
            return 0
        if len(splits["test"]):
            report(checkpoint, splits["test"], options.output, split="test", corpora_root=root)
        if recipe.training.get("push_to_hub"):
            push(options.output, recipe)
    print(f"The checkpoint is in {options.output}; try it: python -m ser_model CLIP --model {options.output}")
    return 0


def with_own_labels(recipe: "Recipe", root: Path) -> "Recipe":
    """The recipe with the labels of its corpora, if these are own folders or tables that have none of the recipe's."""
    from train.data.loading import load_corpus

    if recipe.streaming or not all(name.startswith(("folder:", "table:")) for name in recipe.corpora):
        return recipe
    found = {label for name in recipe.corpora for label in load_corpus(name, root).features["label"].names}
    if found & {*recipe.labels, *recipe.label_map}:
        return recipe
    return dataclasses.replace(recipe, labels=sorted(found), label_map={})


def push(output: Path, recipe: "Recipe") -> None:
    """Send the checkpoint of a training to where its recipe says."""
    from train.publish.publishing import publish

    print(publish(output, recipe.training["hub_model_id"], private=bool(recipe.training.get("hub_private_repo"))))


def is_first_process() -> bool:
    """True if this is the only process, or the first of those that torchrun or accelerate started."""
    return os.environ.get("RANK", "0") == "0"


def run_crossvalidate(options: argparse.Namespace) -> int:
    """Train and test on every fold."""
    from train.evaluation.crossvalidate import crossvalidate
    from train.fit.recipe import load_recipe

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
    from train.evaluation.reporting import report

    checkpoint, dataset = load_tested(options)
    root = corpora_root(options, options.corpora)
    report(checkpoint, split_of(dataset, options, checkpoint), options.output, split=options.split, corpora_root=root)
    return 0


def run_calibrate(options: argparse.Namespace) -> int:
    """Fit the confidence, and print what it is worth."""
    from train.data import load_corpora
    from train.evaluation.never_heard import calibrate, describe
    from train.fit.checkpoint import load_checkpoint

    folder, siblings = Path(options.model), {}
    for given in options.corpora:
        name, _, sibling = given.partition("=")
        siblings.setdefault(Path(sibling) if sibling else folder, []).append(name)
    root = corpora_root(options, [name for names in (*siblings.values(), options.test) for name in names])
    if not folder.is_dir():
        raise ValueError(f"{folder}: give the folder of a checkpoint, its config.json is written anew.")
    recipe = load_checkpoint(options.model).recipe

    def load(names: list[str]) -> "Dataset":
        return load_corpora(names, root, labels=recipe.labels, label_map=recipe.label_map)

    parts = {path: load(names) for path, names in siblings.items()}
    if folder not in parts:
        raise ValueError(f"--corpora: name at least one that {folder} itself never heard.")
    tested = load(options.test) if options.test else None
    print(describe(calibrate(folder, parts.pop(folder), tested, options.picture, parts)))
    return 0


def run_robustness(options: argparse.Namespace) -> int:
    """Test a checkpoint under every condition."""
    from train.evaluation.robustness import robustness

    checkpoint, dataset = load_tested(options)
    chosen = split_of(dataset, options, checkpoint)
    robustness(checkpoint, chosen, dataset, options.output, split=options.split)
    return 0


def run_adaptation(options: argparse.Namespace) -> int:
    """Test a checkpoint, or the networks of a cross-validation, that adapt to each speaker."""
    from train.evaluation.adaptation import adaptation, adaptation_of_cross_validation, is_cross_validation

    if is_cross_validation(Path(options.model)):
        if options.corpora or options.split:
            raise ValueError(
                f"{options.model} is a cross-validation, all that it tested is: leave out --corpora and --split."
            )
        adaptation_of_cross_validation(Path(options.model), options.output, clips=options.clips, draws=options.draws)
        return 0
    if not options.corpora:
        raise ValueError(
            f"{options.model} is no finished cross-validation; for a checkpoint give --corpora, to be tested on."
        )
    options.split = options.split or "test"
    checkpoint, dataset = load_tested(options)
    chosen = split_of(dataset, options, checkpoint)
    adaptation(checkpoint, chosen, options.output, clips=options.clips, draws=options.draws, split=options.split)
    return 0


def load_tested(options: argparse.Namespace) -> tuple["Checkpoint", "Dataset"]:
    """The checkpoint, and all utterances of the corpora that have its labels."""
    from train.data import load_corpora
    from train.fit.checkpoint import load_checkpoint

    checkpoint = load_checkpoint(options.model)
    recipe, root = checkpoint.recipe, corpora_root(options, options.corpora)
    return checkpoint, load_corpora(options.corpora, root, labels=recipe.labels, label_map=recipe.label_map)


def split_of(dataset: "Dataset", options: argparse.Namespace, checkpoint: "Checkpoint") -> "Dataset":
    """The part of a dataset to test on: the same that the checkpoint's own training made.

    Raises:
        ValueError: there is no such part, or the checkpoint was trained on it.
    """
    from train.data import official_split, random_split

    if options.split == "all":
        return dataset
    recipe = checkpoint.recipe
    by_chance = recipe.split == "random"
    if by_chance and (recipe.streaming or sorted(options.corpora) != sorted(recipe.corpora)):
        raise ValueError(
            "This model was trained on a random split, which cannot be drawn again from a stream, nor from corpora "
            f"other than {', '.join(recipe.corpora)}. --split all tests every clip, as speakers seen in training."
        )
    split = random_split if by_chance else official_split
    part = split(dataset, seed=checkpoint.seed, fraction=recipe.validation_fraction)[options.split]
    if not len(part):
        raise ValueError(f"{', '.join(options.corpora)}: the split {options.split!r} has no clips; try --split all.")
    heard = checkpoint.speakers & set(part["speaker"][:])
    if heard and options.split == "test" and not by_chance:
        raise ValueError(
            f"Test speakers were heard in this model's training: {', '.join(sorted(heard))}. Where it comes from a "
            "cross-validation, that has tested it. --split all tests on every clip, as speakers seen in training."
        )
    return part


def run_compare(options: argparse.Namespace) -> int:
    """Print and write tables of results."""
    from train.report.compare import compare

    print(compare(options.runs, options.output))
    return 0


def run_explore(options: argparse.Namespace) -> int:
    """Draw clips and corpora."""
    from train.report.explore import explore

    for path in explore(options.what, options.corpora_root, options.output):
        print(path)
    return 0


def run_recipes(options: argparse.Namespace) -> int:
    """Print the recipes."""
    from train.fit.recipe_listing import listing

    print(listing(options.names))
    return 0


def run_record(options: argparse.Namespace) -> int:
    """Record a run, and print where."""
    from train.report.record import record_run

    print(record_run(options.run_folder, options.name, caveats=options.caveat, minutes=options.minutes))
    return 0


def run_reproduce(options: argparse.Namespace) -> int:
    """List the commands behind the published figures, or run some until one fails."""
    from train.report.reproduce import chosen, run_step, steps

    if not options.only:
        print("\n".join(step.line() for step in steps()))
        return 0
    return next((status for step in chosen(steps(), options.only) if (status := run_step(step))), 0)


def run_card(options: argparse.Namespace) -> int:
    """Render the card, and the tables of a README."""
    from train.report.model_card import render_model_card
    from train.report.readme import render_documents
    from train.report.systems import cross_validation_table

    model = Path(options.model)
    render_model_card(model, cross_validation=cross_validation_table(model)).save(options.output)
    if options.readme:
        for page, text in render_documents(options.readme.parent, model, options.benchmarks).items():
            page.write_text(text)
    return 0


def run_publish(options: argparse.Namespace) -> int:
    """Send a checkpoint to the Hub, or list what would be sent."""
    from train.publish.publishing import listing, model_files, publish

    if options.dry_run:
        print(listing(model_files(options.checkpoint, options.repo_id)))
    else:
        print(publish(options.checkpoint, options.repo_id, private=options.private, tag=options.revision))
    return 0


def run_publish_space(options: argparse.Namespace) -> int:
    """Send the page to a Space, or list what would be sent."""
    from train.publish.publishing import listing, publish_space, space_files

    if options.dry_run:
        print(listing(space_files(static=options.static)))
    else:
        print(publish_space(options.repo_id, private=options.private, static=options.static))
    return 0


def needs_no_root(name: str) -> bool:
    """True if a corpus is on the Hub, or a path that is there or absolute."""
    kind, _, place = name.partition(":")
    path = Path(place).expanduser()
    return kind == "hub" or (kind in ("folder", "table", "parquet") and (path.is_absolute() or path.exists()))


def corpora_root(options: argparse.Namespace, names: Sequence[str] = ()) -> Path:
    """The folder with the corpora; the working directory where none is given and no corpus needs it."""
    if options.corpora_root is None and names and all(needs_no_root(name) for name in names):
        return Path()
    if options.corpora_root is None:
        raise ValueError("Where are the corpora? Give --corpora-root DIR, or set SER_CORPORA.")
    return Path(options.corpora_root)

"""Train and evaluate: `python -m train --help`."""

import argparse
import contextlib
import dataclasses
import json
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ser_model.terminal import PrintableStream, open_closed_streams, printable
from train.interruptions import PrintableFormatter, how_to_go_on, is_disk_full


if TYPE_CHECKING:  # imported where they are needed: a command that needs neither starts at once
    from datasets import Dataset

    from train.fit.checkpoint import Checkpoint
    from train.fit.recipe import Recipe

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
  python -m train publish ser_model/pretrained --repo-id OWNER/NAME --revision v1.0 --dry-run
  python -m train calibrate runs/ser_lstm --corpora nemo emospeechcmd --test savee
  python -m train robustness ser_model/pretrained --corpora ravdess emodb --output runs/robustness
  python -m train adaptation ser_model/pretrained --corpora ravdess --output runs/adaptation
"""

PROTOCOLS_HELP = """protocols:
<protocols>

A protocol of one corpus tests that corpus alone. The recipe's other corpora train along in every fold with all their
speakers, and give validation speakers; --set corpora and --set labels say with what it is trained:
  python -m train crossvalidate ser_lstm --protocol tess --output runs/tess
  python -m train crossvalidate ser_lstm --protocol emodb --set "corpora=[emodb, ravdess]" \\
    --set "labels=[angry, boredom, disgust, fearful, happy, neutral, sad]" \\
    --set "label_map={calm: neutral, surprised: null}" --output runs/emodb
  python -m train crossvalidate ser_lstm --protocol cross-corpus --seeds 0 1 2 --output runs/cross_corpus
"""


class ProtocolsHelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Lists the protocols, which are loaded for that text alone."""

    def add_text(self, text: str | None) -> None:
        if text == PROTOCOLS_HELP:
            from train.data import protocols

            lines = [f"  {name:15}{protocol.title}" for name, protocol in protocols().items()]
            text = text.replace("<protocols>", "\n".join(lines))
        super().add_text(text)


def main(arguments: list[str] | None = None) -> int:
    """Run one command; 0 on success, 1 when something given is wrong or the disk is full, 130 when it is stopped."""
    arguments = sys.argv[1:] if arguments is None else arguments
    open_closed_streams()
    options = parse(arguments)
    if not sys.stderr.isatty():
        os.environ.setdefault("TQDM_DISABLE", "1")  # progress bars would fill a log file
    set_up_log()
    try:
        with contextlib.redirect_stdout(PrintableStream(sys.stdout)), logged_warnings():
            return options.run(options)
    except KeyboardInterrupt:
        if is_first_process():
            tell(f"stopped. {how_to_go_on(arguments)}")
        return 130
    except BrokenPipeError:  # the reader has seen enough, as with `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        full = is_disk_full(error, getattr(options, "output", None))
        if options.traceback or not (full or isinstance(error, ValueError | OSError)):
            raise
        tell(f"error: the disk is full. Make room. {how_to_go_on(arguments)}" if full else f"error: {error}")
        return 1


def set_up_log() -> None:
    """Messages of this process to the standard error, without what names of files could do to a terminal."""
    handler = logging.StreamHandler()
    handler.setFormatter(PrintableFormatter())
    logging.basicConfig(level=logging.INFO if is_first_process() else logging.ERROR, handlers=[handler])
    for library in ("httpx", "httpx2"):
        logging.getLogger(library).setLevel(logging.WARNING)  # they log every request


@contextlib.contextmanager
def logged_warnings() -> Iterator[None]:
    """Context whose warnings are messages of the log."""
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)


def tell(message: str) -> None:
    """Print a message to the standard error."""
    print("\n".join(map(printable, message.splitlines())), file=sys.stderr)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m train",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    adders = (
        add_download,
        add_fit,
        add_crossvalidate,
        add_evaluate,
        add_calibrate,
        add_robustness,
        add_adaptation,
        add_compare,
        add_explore,
        add_recipes,
        add_record,
        add_reproduce,
        add_card,
        add_publish,
        add_publish_space,
    )
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
    download.add_argument("corpus", metavar="CORPUS", nargs="?", help="its name; without one, all are listed")
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
        help="train on these instead of the recipe's: ravdess, folder:PATH (LABEL/clip, LABEL/SPEAKER/clip, "
        "SPEAKER/LABEL/clip), table:PATH (columns path, label, speaker), parquet:PATH, hub:OWNER/NAME; own labels "
        "need no --set labels",
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
        epilog=PROTOCOLS_HELP,
        formatter_class=ProtocolsHelpFormatter,
    )
    add_recipe(crossvalidate)
    crossvalidate.add_argument("--protocol", required=True, metavar="NAME", help="ravdess, tess, ...; see below")
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
    add_tested(evaluate)
    evaluate.set_defaults(run=run_evaluate)
    return evaluate


def add_calibrate(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """`calibrate` and its arguments."""
    calibrate = commands.add_parser(
        "calibrate",
        help="fit a checkpoint's confidence to corpora that it never heard",
        description="Fit the temperature and the thresholds of a checkpoint to corpora that it never heard, each "
        "counting the same, and write them to its config.json. Every corpus is tested by what was fitted without it; "
        "never_heard.json beside the weights has the figures.",
    )
    calibrate.add_argument("model", metavar="MODEL", help="folder of a checkpoint")
    calibrate.add_argument(
        "--corpora",
        nargs="+",
        required=True,
        metavar="NAME[=FOLDER]",
        help="two or more, to fit on; what MODEL was trained on is answered by the checkpoint in FOLDER, of the same "
        "network trained without it",
    )
    calibrate.add_argument("--test", nargs="+", default=[], metavar="NAME", help="others, to test on only")
    calibrate.add_argument(
        "--picture",
        type=Path,
        default=Path("runs/risk_coverage.png"),
        metavar="PNG",
        help="where risk against coverage is drawn (default: runs/risk_coverage.png)",
    )
    add_corpora_root(calibrate)
    calibrate.set_defaults(run=run_calibrate)
    return calibrate


def add_robustness(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """`robustness` and its arguments."""
    robustness = commands.add_parser(
        "robustness",
        help="test a checkpoint in noise, rooms and lines",
        description="Test a checkpoint on speakers that it never heard, in white noise, babble and music of several "
        "levels, over the telephone, in a room, at other levels, clipped, through codecs, and between silences; "
        "write robustness.json and a figure.",
    )
    add_tested(robustness)
    robustness.set_defaults(run=run_robustness)
    return robustness


def add_adaptation(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """`adaptation` and its arguments."""
    adaptation = commands.add_parser(
        "adaptation",
        help="what adapting a checkpoint to a voice is worth",
        description="Adapt to each tested speaker by some unlabelled clips, as EmotionRecognizer.adapt does, and test "
        "on the others, many times over; write adaptation.json. This is another task than that of `evaluate`: its "
        "figures are speaker-adapted. MODEL may also be the folder of a cross-validation, whose networks are then "
        "adapted to the speakers that each was tested on, without --corpora and --split.",
    )
    adaptation.add_argument("--clips", type=int, default=10, metavar="N", help="of each speaker (default: 10)")
    adaptation.add_argument("--draws", type=int, default=200, metavar="N", help="of these clips (default: 200)")
    add_tested(adaptation, corpora_required=False)
    adaptation.set_defaults(split=None)
    adaptation.set_defaults(run=run_adaptation)
    return adaptation


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


def add_record(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """`record` and its arguments."""
    record = commands.add_parser(
        "record",
        help="put a run's figures where README, card and docs/ take them from",
        description="Copy a run's figures, with the commit and the caveats, to train/results; `card --readme "
        "README.md` then writes them into README, card and docs/.",
    )
    record.add_argument("run_folder", metavar="RUN", type=Path, help="output folder of fit, evaluate or crossvalidate")
    record.add_argument("--name", help="of the folder in train/results (default: that of the run)")
    record.add_argument(
        "--caveat", action="append", metavar="TEXT", help="for readers of the figures; may be repeated"
    )
    record.add_argument("--minutes", type=float, metavar="N", help="how long the command took")
    record.set_defaults(run=run_record)
    return record


def add_reproduce(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """`reproduce` and its arguments."""
    reproduce = commands.add_parser(
        "reproduce",
        help="list or run the commands behind the published figures",
        description="List the commands behind the published figures, with their duration where it was recorded, or "
        "run some. Trainings and cross-validations that were cut go on where they were.",
    )
    what = reproduce.add_mutually_exclusive_group()
    what.add_argument("--list", action="store_true", help="list them (default)")
    what.add_argument("--only", nargs="+", metavar="NAME", help="run these, in this order")
    reproduce.set_defaults(run=run_reproduce)
    return reproduce


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
    card.add_argument("--readme", type=Path, help="also write the tables of this README and of docs/ beside it")
    card.add_argument(
        "--benchmarks", type=Path, default=Path("benchmarks/results.json"), help="what `make bench` wrote"
    )
    card.set_defaults(run=run_card)
    return card


def add_publish(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """`publish` and its arguments."""
    publish = commands.add_parser(
        "publish",
        help="send a checkpoint to the Hub",
        description="Send an evaluated checkpoint to the Hub, with its code, card and figures, in one commit; what is "
        "there already is not sent again. The token is that of HF_TOKEN or of `hf auth login`.",
    )
    publish.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="folder with weights and metrics.json")
    publish.add_argument("--revision", metavar="TAG", help="also mark the commit by a tag, such as v1.0")
    add_repository(publish)
    publish.set_defaults(run=run_publish)
    return publish


def add_publish_space(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """`publish-space` and its arguments."""
    publish = commands.add_parser(
        "publish-space",
        help="send the page to a Space",
        description="Send the page and the shipped checkpoint to a Space of the Hub, in one commit.",
    )
    add_repository(publish)
    publish.add_argument(
        "--static", action="store_true", help="the page that runs in the browser alone, as a static Space"
    )
    publish.set_defaults(run=run_publish_space)
    return publish


def add_repository(command: argparse.ArgumentParser) -> None:
    """Where on the Hub something goes."""
    command.add_argument("--repo-id", required=True, metavar="OWNER/NAME", help="repository; made if it is not there")
    command.add_argument("--private", action="store_true", help="for its owner's eyes only")
    command.add_argument("--dry-run", action="store_true", help="list what would be sent, and send nothing")


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


def add_tested(command: argparse.ArgumentParser, *, corpora_required: bool = True) -> None:
    """A checkpoint, what it is tested on, and where the result goes."""
    command.add_argument("model", metavar="MODEL", help="folder of a checkpoint, or its id on the Hub")
    command.add_argument("--corpora", nargs="+", required=corpora_required, metavar="NAME", help="corpora to test on")
    command.add_argument(
        "--split", default="test", choices=("train", "validation", "test", "all"), help="(default: test)"
    )
    command.add_argument("--output", type=Path, required=True, metavar="DIR", help="where the figures go")
    add_corpora_root(command)


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
    """Whether this is the only process, or the first of those that torchrun or accelerate started."""
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
    """Fit temperature and thresholds, and print what they are worth."""
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
    """Whether a corpus is on the Hub, or a path that is there or absolute."""
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


if __name__ == "__main__":
    sys.exit(main())

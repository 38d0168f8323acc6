"""The command line of `python -m train`: its commands and their arguments. `commands` has what each of them does."""

import argparse
import os
from pathlib import Path

from train import commands


DESCRIPTION = "Train speech emotion recognisers, evaluate, compare and publish them."
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
  python -m train calibrate runs/ser_lstm --corpora emospeechcmd nemo=runs/ser_without_nemo_lstm --test savee
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


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m train",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parsers = parser.add_subparsers(required=True, metavar="COMMAND")
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
        add(parsers).add_argument("--traceback", action="store_true", help="show where an error came from")
    return parser.parse_args(arguments)


def add_download(parsers: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """`download` and its arguments."""
    download = parsers.add_parser(
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
    download.set_defaults(run=commands.run_download)
    return download


def add_fit(parsers: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """`fit` and its arguments."""
    fit = parsers.add_parser("fit", help="train a recipe", description="Train a recipe, and test what came out.")
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
    fit.set_defaults(run=commands.run_fit)
    return fit


def add_crossvalidate(parsers: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """`crossvalidate` and its arguments."""
    crossvalidate = parsers.add_parser(
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
    crossvalidate.set_defaults(run=commands.run_crossvalidate)
    return crossvalidate


def add_evaluate(parsers: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """`evaluate` and its arguments."""
    evaluate = parsers.add_parser(
        "evaluate", help="test a checkpoint", description="Test a checkpoint on speakers that it never heard."
    )
    add_tested(evaluate)
    evaluate.set_defaults(run=commands.run_evaluate)
    return evaluate


def add_calibrate(parsers: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """`calibrate` and its arguments."""
    calibrate = parsers.add_parser(
        "calibrate",
        help="fit a checkpoint's confidence to corpora that it never heard",
        description="Fit the confidence of a checkpoint (temperature, how it falls with little voice, thresholds) to "
        "corpora that it never heard, whole clips and pieces of them, each corpus counting the same. Writes it to "
        "config.json, and model.onnx anew if it is there. Every corpus is tested by what was fitted without it; "
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
    calibrate.set_defaults(run=commands.run_calibrate)
    return calibrate


def add_robustness(parsers: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """`robustness` and its arguments."""
    robustness = parsers.add_parser(
        "robustness",
        help="test a checkpoint in noise, rooms and lines",
        description="Test a checkpoint on speakers that it never heard, in white noise, babble and music of several "
        "levels, over the telephone, in a room, at other levels, clipped, through codecs, and between silences; "
        "write robustness.json and a figure.",
    )
    add_tested(robustness)
    robustness.set_defaults(run=commands.run_robustness)
    return robustness


def add_adaptation(parsers: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """`adaptation` and its arguments."""
    adaptation = parsers.add_parser(
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
    adaptation.set_defaults(run=commands.run_adaptation)
    return adaptation


def add_compare(parsers: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """`compare` and its arguments."""
    compare = parsers.add_parser(
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
    compare.set_defaults(run=commands.run_compare)
    return compare


def add_explore(parsers: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """`explore` and its arguments."""
    explore = parsers.add_parser(
        "explore",
        help="look at clips and corpora",
        description="Draw clips (waveform, amplitude envelope, spectrogram, MFCC) and corpora (labels, durations, "
        "sexes, speakers).",
    )
    explore.add_argument("what", metavar="CLIP_OR_CORPUS", nargs="+", help="audio files, and names of corpora")
    explore.add_argument("--output", type=Path, required=True, metavar="DIR", help="where the figures go")
    add_corpora_root(explore)
    explore.set_defaults(run=commands.run_explore)
    return explore


def add_recipes(parsers: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """`recipes` and its arguments."""
    recipes = parsers.add_parser(
        "recipes",
        help="list the recipes",
        description="List recipes: corpora, labels, features, network, parameters and size. No data is loaded.",
    )
    recipes.add_argument("names", metavar="RECIPE", nargs="*", help="name or YAML file (default: all)")
    recipes.set_defaults(run=commands.run_recipes)
    return recipes


def add_record(parsers: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """`record` and its arguments."""
    record = parsers.add_parser(
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
    record.set_defaults(run=commands.run_record)
    return record


def add_reproduce(parsers: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """`reproduce` and its arguments."""
    reproduce = parsers.add_parser(
        "reproduce",
        help="list or run the commands behind the published figures",
        description="List the commands behind the published figures, with the minutes they take on two cores, or run "
        "some. Trainings and cross-validations that were cut go on where they were.",
    )
    what = reproduce.add_mutually_exclusive_group()
    what.add_argument("--list", action="store_true", help="list them (default)")
    what.add_argument("--only", nargs="+", metavar="NAME", help="run these, in this order")
    reproduce.set_defaults(run=commands.run_reproduce)
    return reproduce


def add_card(parsers: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """`card` and its arguments."""
    card = parsers.add_parser(
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
    card.set_defaults(run=commands.run_card)
    return card


def add_publish(parsers: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """`publish` and its arguments."""
    publish = parsers.add_parser(
        "publish",
        help="send a checkpoint to the Hub",
        description="Send an evaluated checkpoint to the Hub, with its code, card and figures, in one commit; what is "
        "there already is not sent again. The token is that of HF_TOKEN or of `hf auth login`.",
    )
    publish.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="folder with weights and metrics.json")
    publish.add_argument("--revision", metavar="TAG", help="also mark the commit by a tag, such as v1.0")
    add_repository(publish)
    publish.set_defaults(run=commands.run_publish)
    return publish


def add_publish_space(parsers: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """`publish-space` and its arguments."""
    publish = parsers.add_parser(
        "publish-space",
        help="send the page to a Space",
        description="Send the page and the shipped checkpoint to a Space of the Hub, in one commit.",
    )
    add_repository(publish)
    publish.add_argument(
        "--static", action="store_true", help="the page that runs in the browser alone, as a static Space"
    )
    publish.set_defaults(run=commands.run_publish_space)
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

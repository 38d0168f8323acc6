"""The model card: its results come out of a checkpoint's metrics.json, what is known beside them is in the text."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from ser_model.configuration_ser import SERConfig
from ser_model.functionals import MOST_VOICED
from ser_model.metrics_file import METRICS_FILE, read_metrics, read_object
from ser_model.recognizer import PRETRAINED
from train.data import CORPORA
from train.data.audio_tables import parse_address
from train.data.base import plural
from train.evaluation.adaptation import ADAPTATION_FILE
from train.evaluation.never_heard import NEVER_HEARD_FILE, sibling_sentence
from train.evaluation.reporting import corpus_title, interval_text, uar_text
from train.evaluation.robustness import ROBUSTNESS_FILE
from train.fit.checkpoint import RECIPE_FILE, SPEAKER_DISJOINT
from train.report.architecture import HEADER, architecture_rows


TEMPLATE = Path(__file__).with_name("model_card_template.md")
MODEL_NAME = "speech-emotion-lstm"
SHIPPED = "ser_model/pretrained"
LICENCE = "cc-by-nc-sa-4.0"  # the strictest that the known corpora ask for and a model can follow
OTHER_LICENCE = "other"  # of a model that heard a corpus whose licence nobody told us
SELECTION = (
    " Earlier versions were scored on them, and this one was chosen by them and by EmoSpeechCmd: read these figures "
    "as optimistic. SAVEE was measured after the choice."
)
REFITTED = (
    "It was trained twice: without validation speakers, by whom it was judged, and then from the beginning with them."
)
# When the shipped checkpoint and train/results were measured.
EMODB_AT_HAND = "Of EmoDB's 535 clips 437 were at hand, and of them only 9, by two speakers, express boredom."
METRICS = {"uar": ("recall", "UAR (%)"), "accuracy": ("accuracy", "Accuracy (%)"), "macro_f1": ("f1", "Macro F1 (%)")}
LARGEST_GAP = 0.05  # in UAR between the sexes, beyond which the card says more
TAGS = ("speech-emotion-recognition", "emotion", "mfcc", "lstm", "audio", "speech")


def render_model_card(
    checkpoint: Path,
    model_id: str | None = None,
    *,
    files_at: str = f"{SHIPPED}/",
    figures: Sequence[str] = (),
    exports: Sequence[str] = (),
    cross_validation: str = "",
) -> ModelCard:
    """
    The card of a checkpoint.

    Args:
        checkpoint: folder with config.json, recipe.json, metrics.json and the weights.
        model_id: the model's name on the Hub, by which the examples call it; else they call it by its folder.
        files_at: where the card's links find the checkpoint's files; "" beside the card.
        figures: pictures to show, as the card's links find them.
        exports: ONNX files, likewise.
        cross_validation: table of what the network reached in cross-validation.

    Raises:
        FileNotFoundError: the checkpoint was never evaluated: it has no metrics.json.
        ValueError: figures are damaged, or about other weights.
    """
    check_evaluated(checkpoint)
    metrics = read_metrics(checkpoint)
    recipe = read_object(checkpoint / RECIPE_FILE)
    config = SERConfig.from_pretrained(checkpoint)
    shipped = checkpoint.resolve() == PRETRAINED
    name = (model_id or MODEL_NAME).rpartition("/")[2]
    return ModelCard.from_template(
        card_data(metrics, recipe, name),
        template_path=str(TEMPLATE),
        model_id=model_id or (SHIPPED if shipped else checkpoint.as_posix()),
        on_hub=model_id is not None,
        shipped=shipped,
        model_name=name,
        files_at=files_at,
        figures=figures,
        exports=exports,
        parameters=f"{metrics['parameters']:,}",
        megabytes=f"{(checkpoint / 'model.safetensors').stat().st_size / 1e6:.1f}",
        architecture_table=table(HEADER, architecture_rows(config)),
        familiarity=familiarity_formula(config),
        labels=", ".join(metrics["labels"]),
        chance=percent(1 / len(metrics["labels"])),
        protocol_sentence=protocol_sentence(metrics, SELECTION if shipped else ""),
        results_table=results_table(metrics),
        corpus_remarks=corpus_remarks(metrics, EMODB_AT_HAND if shipped else ""),
        recall_table=recall_table(metrics),
        sex_table=sex_table(metrics),
        sex_notes=sex_notes(metrics),
        language_table=language_table(metrics),
        worst_speaker=percent(metrics["uar_by_speaker"][metrics["worst_speaker"]]),
        best_speaker=percent(metrics["uar_by_speaker"][metrics["best_speaker"]]),
        noise_table=noise_table(checkpoint),
        calibration_table=calibration_table(metrics),
        never_heard=never_heard_of(checkpoint),
        adaptation_table=adaptation_table(checkpoint),
        cross_validation=cross_validation,
        temperature=f"{metrics['temperature']:.2f}",
        command=metrics["command"],
        versions=", ".join(f"{name} {version}" for name, version in metrics["versions"].items()),
        training_sentence=training_sentence(metrics, recipe),
        corpora_table=corpora_table(recipe["corpora"]),
        corpora=recipe["corpora"],
        titles=", ".join(map(training_title, recipe["corpora"])),
        recipe_name=recipe["name"],
        start=recipe.get("start"),
        seed=recipe["seed"],
        languages=", ".join(languages(metrics, recipe)),
        licence=licence(recipe["corpora"]),
    )


def familiarity_formula(config: SERConfig) -> str:
    """Factor of the logits, as the card tells it; empty where there is none."""
    if not config.familiarity_exponent:
        return ""
    return f"voiced seconds / {MOST_VOICED} and at most 1, to the power of {config.familiarity_exponent:.2f}"


def check_evaluated(checkpoint: Path) -> None:
    """Raise FileNotFoundError for a checkpoint that nobody has measured."""
    if not (checkpoint / METRICS_FILE).is_file():
        raise FileNotFoundError(
            f"{checkpoint} has no {METRICS_FILE}: measure it first, with `python -m train evaluate {checkpoint} "
            f"--corpora ... --output DIR`, and copy {METRICS_FILE} from there."
        )


def card_data(metrics: Mapping[str, Any], recipe: Mapping[str, Any], model_name: str = MODEL_NAME) -> ModelCardData:
    """The Hub's own fields, with one result for each corpus and figure."""
    results = [
        EvalResult(
            task_type="audio-classification",
            task_name="Speech emotion recognition",
            dataset_type=name,
            dataset_name=f"{corpus_title(name)}, {figures['clips']} clips of {figures['speakers']} speakers",
            dataset_config=metrics["protocol"],
            dataset_split=metrics["split"],
            metric_type=metric,
            metric_name=metric_name,
            metric_value=round(100 * figures[key], 1),
        )
        for name, figures in metrics["corpora"].items()
        for key, (metric, metric_name) in METRICS.items()
    ]
    return ModelCardData(
        language=languages(metrics, recipe) or None,
        license=licence(recipe["corpora"]),
        library_name="transformers",
        pipeline_tag="audio-classification",
        tags=list(TAGS),
        datasets=[name for name in map(dataset_id, recipe["corpora"]) if name],
        metrics=[metric for metric, _ in METRICS.values()],
        model_name=model_name,
        eval_results=results,
    )


def languages(metrics: Mapping[str, Any], recipe: Mapping[str, Any]) -> list[str]:
    """Codes of the languages that it was trained or tested on, as far as they are known."""
    trained = {CORPORA[name].language for name in recipe["corpora"] if name in CORPORA}
    return sorted((trained | set(metrics["uar_by_language"])) - {"unknown"})


def licence(corpora: Sequence[str]) -> str:
    """The Hub's code for the licence of the weights."""
    return LICENCE if set(corpora) <= set(CORPORA) else OTHER_LICENCE


def dataset_id(corpus: str) -> str | None:
    """Name of a training corpus for the Hub; None for one that lies on somebody's disk."""
    if corpus in CORPORA:
        return corpus
    return parse_address(corpus, Path()).place if corpus.startswith("hub:") else None


def protocol_sentence(metrics: Mapping[str, Any], selection: str = "") -> str:
    """Who was tested, and whether the model had heard them, or was chosen on them."""
    unseen = (
        f"They are in neither training nor validation.{selection}"
        if metrics["protocol"] == SPEAKER_DISJOINT
        else "**They are also in training; on new voices it does worse.**"
    )
    return f"Measured on {metrics['clips']:,} clips of {metrics['speakers']} speakers, one seed. {unseen}"


def training_sentence(metrics: Mapping[str, Any], recipe: Mapping[str, Any]) -> str:
    """Sentence on the data that the model was trained on."""
    titles = ", ".join(map(training_title, recipe["corpora"]))
    without = ", without the speakers tested above" if metrics["protocol"] == SPEAKER_DISJOINT else ""
    merged = [f"“{source}” counts as {target}" for source, target in recipe["label_map"].items() if target]
    dropped = [f"“{source}” is left out" for source, target in recipe["label_map"].items() if target is None]
    notes = "; ".join(merged + dropped)
    shares = [f"{100 * share:g} % of the clips of {training_title(name)}" for name, share in recipe["shares"].items()]
    only = f", with {' and '.join(shares)}" if shares else ""
    trained = f"Trained on {titles}{only}{without}" + (f"; {notes}." if notes else ".")
    if start := recipe.get("start"):
        epochs = recipe["training"]["num_train_epochs"]
        return f"{trained} It goes on from the weights of `{start}` for {epochs} epochs, with the validation speakers."
    return f"{trained} {REFITTED}" if recipe.get("refit") else trained


def training_title(corpus: str) -> str:
    """Name of a training corpus for people; of one that lies on somebody's disk only the last part of its path."""
    return dataset_id(corpus) or Path(corpus).name if corpus not in CORPORA else CORPORA[corpus].title


def results_table(metrics: Mapping[str, Any]) -> str:
    """UAR and accuracy for each corpus."""
    rows = [
        [
            corpus_title(name),
            CORPORA[name].language if name in CORPORA else "–",
            figures["clips"],
            figures["speakers"],
            percent(figures["uar"]),
            interval_text(figures),
            percent(figures["accuracy"]),
        ]
        for name, figures in metrics["corpora"].items()
    ]
    return table(["corpus", "language", "clips", "speakers", "UAR %", "95 % interval", "accuracy %"], rows)


def corpus_remarks(metrics: Mapping[str, Any], copy: str = "") -> str:
    """Remarks on the tested corpora that a reader needs to compare the figures; empty if there are none.

    Args:
        metrics: of an evaluation.
        copy: which part of a corpus was at hand.
    """
    remarks = []
    for name, figures in metrics["corpora"].items():
        if name in CORPORA and CORPORA[name].common_sentences:
            common, count = figures.get("common_sentences"), len(CORPORA[name].common_sentences)
            other = f"on the other {'two' if count == 2 else count}, UAR "
            tested = f"{other}{uar_text(common)} %." if common else "all of the tested clips are of these."
            remarks.append(f"{CORPORA[name].caveat}: {tested}")
        elif name in CORPORA and CORPORA[name].caveat:
            remarks.append(f"{CORPORA[name].caveat}.")
    if copy and "emodb" in metrics["corpora"]:
        remarks.append(copy)
    return " ".join(remarks)


def recall_table(metrics: Mapping[str, Any]) -> str:
    """Recall of each emotion for each corpus."""
    rows = [
        [corpus_title(name), *(percent(figures["recall"].get(label)) for label in metrics["labels"])]
        for name, figures in metrics["corpora"].items()
    ]
    return table(["corpus", *metrics["labels"]], rows)


def sex_table(metrics: Mapping[str, Any]) -> str:
    """UAR of each sex for each corpus that has both; empty without any."""
    both = {
        name: figures["uar_by_sex"] for name, figures in metrics["corpora"].items() if len(figures["uar_by_sex"]) > 1
    }
    rows = [
        [corpus_title(name), percent(uars.get("female")), percent(uars.get("male"))] for name, uars in both.items()
    ]
    return table(["corpus", "female", "male"], rows) if rows else ""


def sex_notes(metrics: Mapping[str, Any]) -> list[str]:
    """For each known corpus with more than `LARGEST_GAP` between the sexes: by how many voices, and how unlike."""
    notes = []
    for name, figures in metrics["corpora"].items():
        uars = figures["uar_by_sex"]
        gap = max(uars.values()) - min(uars.values())
        if name in CORPORA and gap > LARGEST_GAP:
            voices = ", ".join(range_of_speakers(name, figures, sex) for sex in sorted(uars))
            notes.append(f"{corpus_title(name)}: the sexes lie {percent(gap)} points apart; {voices}")
    return notes


def range_of_speakers(corpus: str, figures: Mapping[str, Any], sex: str) -> str:
    """Number of speakers of a sex, and their lowest and highest UAR: "3 male speakers, 48.8 to 68.5 %"."""
    sexes = CORPORA[corpus].speakers
    uars = [uar for speaker, uar in figures["uar_by_speaker"].items() if sexes.get(speaker) == sex]
    return f"{plural(len(uars), f'{sex} speaker')}, {percent(min(uars))} to {percent(max(uars))} %"


def never_heard_of(checkpoint: Path) -> dict[str, Any]:
    """Texts of the card on corpora that a checkpoint never heard; empty where nobody measured that."""
    path = checkpoint / NEVER_HEARD_FILE
    if not path.is_file():
        return {}
    content = read_metrics(checkpoint, name=NEVER_HEARD_FILE)
    rows = [
        [
            corpus_title(name),
            CORPORA[name].language if name in CORPORA else "–",
            figures["clips"],
            figures["speakers"],
            figures["labels"],
            percent(figures["uar_among_own_labels"]),
            percent(figures["accuracy"]),
            percent(figures["confidence"]),
            percent(figures["calibration_error"]),
        ]
        for name, figures in content["corpora"].items()
    ]

    header = ["corpus", "language", "clips", "speakers", "labels", "UAR % among these", "right %", "says %"]
    return {
        "table": table([*header, "calibration error %"], rows),
        "right": percent(content["mean"]["accuracy"]),
        "says": percent(content["mean"]["confidence"]),
        "fitted_on": " and ".join(map(corpus_title, content["fitted_on"])),
        "unheard": " and ".join(
            corpus_title(name) for name in content["corpora"] if name not in content["by_siblings"]
        ),
        "command": content["command"],
        "siblings": sibling_sentence(content),
        "answered_by": " ".join(
            f"{corpus}=runs/{content['by_siblings'][corpus]}" if corpus in content["by_siblings"] else corpus
            for corpus in content["fitted_on"]
        ),
    }


def calibration_table(metrics: Mapping[str, Any]) -> str:
    """Calibration error and Brier score for each corpus, and for all together where there are several."""
    parts = [(corpus_title(name), figures) for name, figures in metrics["corpora"].items()]
    parts += [("together", metrics)] if len(parts) > 1 else []
    rows = [[title, percent(part["calibration_error"]), f"{part['brier_score']:.2f}"] for title, part in parts]
    return table(["corpus", "expected calibration error %", "Brier score"], rows)


def adaptation_table(checkpoint: Path) -> str:
    """UAR before and after adapting to a voice, where `python -m train adaptation` has measured it; else empty."""
    path = checkpoint / ADAPTATION_FILE
    if not path.is_file():
        return ""
    content = read_metrics(checkpoint, name=ADAPTATION_FILE)
    clips, rows = content["adapted_with"], []
    for corpus, figures in content["corpora"].items():
        for name, one in figures["adapted_by"].items():
            if one is not None:
                by = f"{clips} {name}" if name == "random clips" else f"{name} ({one['clips']:.0f})"
                rows.append([corpus_title(corpus), by, *gain(one), percent(one["share_of_draws_that_lost"])])
        if fitted := figures.get("with_labels"):
            rows.append([corpus_title(corpus), "fitted to all labels", *gain(fitted), "–"])
    header = ["corpus", "adapted by", "UAR % before", "UAR % adapted", "difference", "draws that lost %"]
    return table(header, rows)


def gain(figures: Mapping[str, Any]) -> list[str]:
    """UAR before and after adapting, and their difference."""
    return [percent(figures["uar"]), percent(figures["uar_adapted"]), f"{100 * figures['difference']:+.1f}"]


def language_table(metrics: Mapping[str, Any]) -> str:
    """UAR of each language; empty where there is only one."""
    uars = metrics["uar_by_language"]
    return table(list(uars), [[percent(uar) for uar in uars.values()]]) if len(uars) > 1 else ""


def noise_table(checkpoint: Path) -> str:
    """UAR under each condition for each corpus, where `python -m train robustness` has measured it; else empty."""
    path = checkpoint / ROBUSTNESS_FILE
    if not path.is_file():
        return ""
    conditions = read_metrics(checkpoint, name=ROBUSTNESS_FILE)["conditions"]
    corpora = list(next(iter(conditions.values()))["corpora"])
    rows = [
        [name, *(percent(figures["corpora"][corpus]["uar"]) for corpus in corpora)]
        for name, figures in conditions.items()
    ]
    return table(["condition", *map(corpus_title, corpora)], rows)


def corpora_table(names: Sequence[str]) -> str:
    """The training corpora and their licences."""
    return table(["corpus", "language", "speakers in the corpus", "licence"], [corpus_row(name) for name in names])


def corpus_row(name: str) -> list[Any]:
    """A training corpus' row of the table."""
    if name not in CORPORA:
        return [training_title(name), "–", "–", "unknown"]
    entry = CORPORA[name]
    return [f"[{entry.title}]({entry.homepage})", entry.language, len(entry.speakers), entry.licence]


def table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def percent(share: float | None) -> str:
    """Per cent with one decimal, or a dash."""
    return "–" if share is None else f"{100 * share:.1f}"

"""The model card: every figure in it comes out of a checkpoint's metrics.json, none is typed."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from ser_model.configuration_ser import SERConfig
from train.checkpoint import RECIPE_FILE, SPEAKER_DISJOINT
from train.corpora import CORPORA
from train.report import METRICS_FILE


TEMPLATE = Path(__file__).with_name("model_card_template.md")
MODEL_NAME = "speech-emotion-lstm"
SHIPPED = "ser_model/pretrained"
LICENCE = "cc-by-nc-sa-4.0"  # the strictest that the training corpora ask for and a model can follow
UNITS = {
    "faster": "times faster (at least {bar:g})",
    "ratio": "times as long (at most {bar:g})",
    "above": "{unit} above it (at most {bar:g})",
    "limit": "{unit} (at most {bar:g})",
}
TAGS = ("speech-emotion-recognition", "emotion", "mfcc", "lstm", "audio", "speech")


def render_model_card(
    checkpoint: Path, model_id: str = MODEL_NAME, *, files_at: str = f"{SHIPPED}/", figures: Sequence[str] = ()
) -> ModelCard:
    """
    The card of a checkpoint.

    Args:
        checkpoint: folder with config.json, recipe.json, metrics.json and the weights.
        model_id: how the examples call the model.
        files_at: where the card's links find the checkpoint's files; "" beside the card.
        figures: pictures to show, as the card's links find them.

    Raises:
        FileNotFoundError: the checkpoint was never evaluated: it has no metrics.json.
    """
    check_evaluated(checkpoint)
    metrics = json.loads((checkpoint / METRICS_FILE).read_text())
    recipe = json.loads((checkpoint / RECIPE_FILE).read_text())
    config = SERConfig.from_pretrained(checkpoint)
    return ModelCard.from_template(
        card_data(metrics, recipe),
        template_path=str(TEMPLATE),
        model_id=model_id,
        files_at=files_at,
        figures=figures,
        parameters=f"{metrics['parameters']:,}",
        megabytes=f"{(checkpoint / 'model.safetensors').stat().st_size / 1e6:.1f}",
        architecture=describe_architecture(config),
        labels=", ".join(metrics["labels"]),
        chance=percent(1 / len(metrics["labels"])),
        protocol_sentence=protocol_sentence(metrics),
        results_table=results_table(metrics),
        recall_table=recall_table(metrics),
        sex_table=sex_table(metrics),
        calibration_error=percent(metrics["calibration_error"]),
        brier_score=f"{metrics['brier_score']:.2f}",
        temperature=f"{metrics['temperature']:.2f}",
        command=metrics["command"],
        training_sentence=training_sentence(recipe),
        corpora_table=corpora_table(recipe["corpora"]),
        recipe_name=recipe["name"],
        seed=recipe["seed"],
        languages=", ".join(sorted({CORPORA[name].language for name in recipe["corpora"]})),
    )


def check_evaluated(checkpoint: Path) -> None:
    """Raise FileNotFoundError for a checkpoint that nobody has measured."""
    if not (checkpoint / METRICS_FILE).is_file():
        raise FileNotFoundError(
            f"{checkpoint} has no {METRICS_FILE}: measure it first, with `python -m train evaluate {checkpoint} "
            f"--corpora ... --output DIR`, and copy {METRICS_FILE} from there."
        )


def card_data(metrics: Mapping[str, Any], recipe: Mapping[str, Any]) -> ModelCardData:
    """The Hub's own fields, with one result for each corpus and figure."""
    results = [
        EvalResult(
            task_type="audio-classification",
            task_name="Speech emotion recognition",
            dataset_type=name,
            dataset_name=f"{CORPORA[name].title}, {figures['speakers']} {metrics['protocol']} speakers",
            dataset_split=metrics["split"],
            metric_type=metric,
            metric_name=metric_name,
            metric_value=round(100 * figures[key], 1),
        )
        for name, figures in metrics["corpora"].items()
        for metric, metric_name, key in (("recall", "UAR (%)", "uar"), ("accuracy", "Accuracy (%)", "accuracy"))
    ]
    return ModelCardData(
        language=sorted({CORPORA[name].language for name in recipe["corpora"]}),
        license=LICENCE,
        library_name="transformers",
        pipeline_tag="audio-classification",
        tags=list(TAGS),
        metrics=["recall", "accuracy"],
        model_name=MODEL_NAME,
        eval_results=results,
    )


def describe_architecture(config: SERConfig) -> str:
    """The network in words."""
    parts = []
    if config.conv_channels:
        parts.append(f"{len(config.conv_channels)} convolutions")
    direction = "bidirectional " if config.lstm_bidirectional else ""
    parts.append(
        f"{len(config.lstm_sizes)} {direction}LSTM layers of {' and '.join(map(str, config.lstm_sizes))} units"
    )
    parts.append(f"{config.pooling.replace('_', ' ')} pooling")
    if config.dense_sizes:
        parts.append(f"dense layers of {', '.join(map(str, config.dense_sizes))}")
    return ", ".join(parts)


def protocol_sentence(metrics: Mapping[str, Any]) -> str:
    """Who was tested, and whether the model had heard them."""
    unseen = (
        "None of them was heard in training; of two trainings the shipped one was picked with their figures known."
        if metrics["protocol"] == SPEAKER_DISJOINT
        else "**These speakers were also heard in training; on new voices it does worse.**"
    )
    return f"Measured on {metrics['clips']:,} clips of {metrics['speakers']} speakers, one seed. {unseen}"


def training_sentence(recipe: Mapping[str, Any]) -> str:
    """What it was trained on."""
    titles = ", ".join(CORPORA[name].title for name in recipe["corpora"])
    merged = [f"“{source}” counts as {target}" for source, target in recipe["label_map"].items() if target]
    dropped = [f"“{source}” is left out" for source, target in recipe["label_map"].items() if target is None]
    notes = "; ".join(merged + dropped)
    return f"Trained on {titles}, without the speakers tested above" + (f"; {notes}." if notes else ".")


def results_table(metrics: Mapping[str, Any]) -> str:
    """UAR and accuracy for each corpus."""
    rows = [
        [
            CORPORA[name].title,
            CORPORA[name].language,
            figures["clips"],
            figures["speakers"],
            percent(figures["uar"]),
            " – ".join(percent(value) for value in figures["uar_interval"]) if figures["uar_interval"] else "–",
            percent(figures["accuracy"]),
        ]
        for name, figures in metrics["corpora"].items()
    ]
    return table(["corpus", "language", "clips", "speakers", "UAR %", "95 % interval", "accuracy %"], rows)


def recall_table(metrics: Mapping[str, Any]) -> str:
    """Recall of each emotion for each corpus."""
    rows = [
        [CORPORA[name].title, *(percent(figures["recall"].get(label)) for label in metrics["labels"])]
        for name, figures in metrics["corpora"].items()
    ]
    return table(["corpus", *metrics["labels"]], rows)


def sex_table(metrics: Mapping[str, Any]) -> str:
    """UAR of each sex for each corpus that has both; empty without any."""
    both = {
        name: figures["uar_by_sex"] for name, figures in metrics["corpora"].items() if len(figures["uar_by_sex"]) > 1
    }
    rows = [
        [CORPORA[name].title, percent(uars.get("female")), percent(uars.get("male"))] for name, uars in both.items()
    ]
    return table(["corpus", "female", "male"], rows) if rows else ""


def corpora_table(names: Sequence[str]) -> str:
    """The training corpora and their licences."""
    corpora = [CORPORA[name] for name in names]
    rows = [
        [f"[{entry.title}]({entry.homepage})", entry.language, len(entry.speakers), entry.licence] for entry in corpora
    ]
    return table(["corpus", "language", "speakers", "licence"], rows)


def readme_results(metrics: Mapping[str, Any]) -> str:
    """The results as README shows them."""
    return f"{protocol_sentence(metrics)} UAR is the mean recall over emotions.\n\n{results_table(metrics)}\n\n" + (
        f"Expected calibration error {percent(metrics['calibration_error'])} %. Written to "
        f"[`metrics.json`](ser_model/pretrained/metrics.json) by `{metrics['command']}`."
    )


def readme_benchmarks(benchmarks: Mapping[str, Any]) -> str:
    """The benchmarks as README shows them."""
    rows = [
        [outcome["name"], outcome["peer_name"], f"{outcome['figure']:.1f}", UNITS[outcome["kind"]].format(**outcome)]
        for outcome in benchmarks["outcomes"]
    ]
    written = f"Written to [`benchmarks/results.json`](benchmarks/results.json) by `{benchmarks['command']}`."
    return table(["what", "against", "figure", "which is"], rows) + f"\n\n{written}"


def replace_block(text: str, name: str, content: str) -> str:
    """Replace what stands between `<!-- name: ... -->` and `<!-- /name -->`."""
    pattern = rf"(<!-- {name}:[^>]*-->\n).*?(<!-- /{name} -->)"
    replaced, count = re.subn(pattern, lambda match: f"{match[1]}\n{content}\n\n{match[2]}", text, flags=re.DOTALL)
    if count != 1:
        raise ValueError(f"The text needs one block <!-- {name}: ... --> to <!-- /{name} -->, it has {count}.")
    return replaced


def render_readme(readme: str, checkpoint: Path, benchmarks: Path) -> str:
    """README with the figures of a checkpoint's metrics.json and of the benchmarks' results."""
    readme = replace_block(readme, "results", readme_results(json.loads((checkpoint / METRICS_FILE).read_text())))
    return replace_block(readme, "benchmarks", readme_benchmarks(json.loads(benchmarks.read_text())))


def table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def percent(share: float | None) -> str:
    """Per cent with one decimal, or a dash."""
    return "–" if share is None else f"{100 * share:.1f}"

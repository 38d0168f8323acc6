"""Comparison of runs: one line for each run, one heading for each way of measuring."""

import codecs
import csv
import json
from pathlib import Path

import pytest

from ser_model.recognizer import PRETRAINED
from train.__main__ import main
from train.fit.checkpoint import SPEAKER_DISJOINT, SPEAKERS_SEEN
from train.fit.recipe import load_recipe
from train.report import systems
from train.report.systems import (
    adapted_table,
    baseline_of_clips,
    caveat_notes,
    cross_corpus_table,
    cross_validation_table,
    systems_table,
)


def figures(uar: float, deviation: float | None = None, interval: list[float] | None = None, **more) -> dict:
    """Figures of a corpus as metrics.json has them, those that the comparison reads."""
    one = {
        "clips": 1440,
        "speakers": 24,
        "uar": uar,
        "uar_interval": interval,
        "accuracy": uar + 0.01,
        "macro_f1": uar,
    }
    return one | ({"deviation": {"uar": deviation}} if deviation is not None else {}) | more


OWN_LABELS = {"ravdess": ("calm", "angry"), "emodb": ("sad", "angry")}


def write_run(
    folder: Path,
    corpora: dict[str, dict],
    *,
    recipe: str = "ravdess_lstm",
    protocol: str = SPEAKER_DISJOINT,
    labels: tuple[str, ...] = ("angry", "sad"),
    mask_labels: bool = False,
    network: dict | None = None,
    **more,
) -> Path:
    """metrics.json of a run."""
    content = {
        "protocol": protocol,
        "labels": list(labels),
        "recipe": {"name": recipe, "corpora": list(corpora), "mask_labels": mask_labels, "network": network},
        "parameters": 121800,
        "corpora": corpora,
        **figures(0.5, recall=dict.fromkeys(labels, 0.5)),
        **(more or {"split": "test"}),
    }
    folder.mkdir(parents=True)
    (folder / "metrics.json").write_text(json.dumps(content))
    return folder


def rounds(title: str = "five actor folds", folds: int = 5, seeds: int = 3, complete: bool = True, **more) -> dict:
    """Description that a cross-validation writes of itself."""
    names = {f"fold{number}": [] for number in range(1, folds + 1)}
    return {
        "protocol": "speakers",
        "title": title,
        "folds": names,
        "seeds": list(range(seeds)),
        "complete": complete,
        **more,
    }


def compare(tmp_path: Path, *runs: Path) -> tuple[dict[str, list[list[str]]], list[dict[str, str]]]:
    """Rows of the Markdown tables by heading, and those of the CSV."""
    assert main(["compare", *map(str, runs), "--output", str(tmp_path / "tables"), "--traceback"]) == 0
    tables, heading = {}, None
    for line in (tmp_path / "tables" / "comparison.md").read_text().splitlines():
        if line.startswith("## "):
            heading = line.removeprefix("## ")
            tables[heading] = []
        elif line.startswith("| ") and not line.startswith(("| run", "| ---")):
            tables[heading].append([cell.strip() for cell in line.strip("|").split("|")])
    assert (tmp_path / "tables" / "comparison.csv").read_bytes().startswith(codecs.BOM_UTF8)  # for Excel
    with open(tmp_path / "tables" / "comparison.csv", newline="", encoding="utf-8-sig") as file:
        return tables, list(csv.DictReader(file))


def test_runs_of_one_protocol_stand_side_by_side_best_first(tmp_path, capsys):
    classic = write_run(
        tmp_path / "classic", {"ravdess": figures(0.42, 0.009, [0.38, 0.461])}, cross_validation=rounds()
    )
    best = write_run(
        tmp_path / "best", {"ravdess": figures(0.617)}, recipe="ser_lstm", cross_validation=rounds(seeds=1)
    )
    tables, lines = compare(tmp_path, classic, best)
    heading = "RAVDESS: five actor folds, speaker-disjoint, 2 labels (angry, sad)"
    assert tables == {
        heading: [
            [str(best), "ser_lstm", "RAVDESS", "5 × 1", "1440", "24", "61.7", "–", "62.7", "121,800"],
            [
                str(classic),
                "ravdess_lstm",
                "RAVDESS",
                "5 × 3",
                "1440",
                "24",
                "42.0 ± 0.9",
                "38.0 – 46.1",
                "43.0",
                "121,800",
            ],
        ]
    }
    assert [(line["heading"], float(line["uar"])) for line in lines] == [(heading, 0.617), (heading, 0.42)]
    assert (lines[1]["uar_deviation"], lines[1]["uar_low"], lines[0]["uar_low"]) == ("0.009", "0.38", "")
    assert heading in capsys.readouterr().out


def test_what_was_measured_otherwise_stands_under_another_heading(tmp_path):
    corpora = {"ravdess": figures(0.5)}
    runs = [
        write_run(tmp_path / "folds", corpora, cross_validation=rounds()),
        write_run(tmp_path / "pooled", corpora, cross_validation=rounds("five speaker folds of every corpus")),
        write_run(tmp_path / "part", corpora, cross_validation=rounds(folds=2, complete=False)),
        write_run(
            tmp_path / "random", corpora, protocol=SPEAKERS_SEEN, cross_validation=rounds("random split", folds=1)
        ),
        write_run(tmp_path / "labels", corpora, labels=("angry", "happy", "sad"), cross_validation=rounds()),
        write_run(tmp_path / "test", corpora),
        write_run(tmp_path / "validation", corpora, split="validation"),
        write_run(tmp_path / "seen", corpora, protocol=SPEAKERS_SEEN),
        write_run(tmp_path / "emodb", {"emodb": figures(0.5)}, cross_validation=rounds()),
    ]
    tables, lines = compare(tmp_path, *runs)
    assert all(len(rows) == 1 for rows in tables.values())
    assert len(tables) == len(lines) == len(runs)
    assert "RAVDESS: five actor folds (only fold1, fold2), speaker-disjoint, 2 labels (angry, sad)" in tables
    assert "RAVDESS: random split, speakers seen in training, 2 labels (angry, sad)" in tables


def test_a_corpus_that_is_answered_with_its_own_labels_stands_under_them(tmp_path):
    """Only where its other speakers are trained on; a checkpoint, and a network without it, answer with any label."""
    corpora = {name: figures(0.5, recall=dict.fromkeys(labels, 0.5)) for name, labels in OWN_LABELS.items()}
    write_run(
        tmp_path / "folds", corpora, labels=("angry", "calm", "sad"), mask_labels=True, cross_validation=rounds()
    )
    write_run(tmp_path / "test", corpora, labels=("angry", "calm", "sad"), mask_labels=True)
    left_out = rounds("leave one corpus out", protocol="cross-corpus")
    write_run(
        tmp_path / "left_out", corpora, labels=("angry", "calm", "sad"), mask_labels=True, cross_validation=left_out
    )
    _, lines = compare(tmp_path, tmp_path / "folds", tmp_path / "test", tmp_path / "left_out")
    counts = {heading: int(line["labels"]) for line in lines if "five" in (heading := line["heading"])}
    assert counts["RAVDESS: five actor folds, speaker-disjoint, 2 labels (angry, calm)"] == 2
    assert counts["EmoDB: five actor folds, speaker-disjoint, 2 labels (angry, sad)"] == 2
    among_all = [line["labels"] for line in lines if "test split" in line["heading"] or "left out" in line["heading"]]
    assert among_all
    assert set(among_all) == {"3"}


def test_every_tested_corpus_has_a_line_and_common_sentences_their_own(tmp_path):
    ased = figures(0.6, common_sentences=figures(0.4))
    tables, _ = compare(tmp_path, write_run(tmp_path / "run", {"ased": ased, "my_clips": figures(0.7)}))
    uars = {heading.partition(":")[0]: rows[0][6] for heading, rows in tables.items()}
    assert uars == {
        "ASED": "60.0",
        "ASED, common sentences": "40.0",
        "my_clips": "70.0",
        "ASED, my_clips together": "50.0",
    }


def test_folders_without_results_are_errors(tmp_path, capsys):
    assert main(["compare", str(tmp_path), "--output", str(tmp_path)]) == 1
    assert "has no metrics.json: give the output folder of a finished fit" in capsys.readouterr().err
    (tmp_path / "metrics.json").write_text('{"protocol": "speaker-disjoint", "labels": []}')
    assert main(["compare", str(tmp_path), "--output", str(tmp_path)]) == 1
    assert "lacks recipe, corpora, parameters" in capsys.readouterr().err


@pytest.mark.parametrize("order", [1, -1])
def test_order_of_the_runs_changes_nothing(tmp_path, order):
    runs = [
        write_run(tmp_path / name, {"ravdess": figures(uar)}) for name, uar in (("a", 0.3), ("b", 0.5), ("c", 0.4))
    ]
    tables, _ = compare(tmp_path, *runs[::order])
    assert [Path(row[0]).name for rows in tables.values() for row in rows] == ["b", "c", "a"]


def test_systems_stand_with_new_speakers_beside_those_seen_in_training(tmp_path):
    corpora = {"ravdess": figures(0.375, interval=[0.3, 0.466])}
    runs = [
        write_run(tmp_path / "folds", corpora, cross_validation=rounds()),
        write_run(tmp_path / "random", {"ravdess": figures(0.598)}, protocol=SPEAKERS_SEEN),
        write_run(tmp_path / "tess", {"tess": figures(0.99)}, recipe="tess_lstm", protocol=SPEAKERS_SEEN),
    ]
    lines = [line.strip("| ").split(" | ") for line in systems_table(runs).splitlines()[2:]]
    assert lines == [
        ["`ravdess_lstm`", "121,800", "RAVDESS", "2", "37.5 (30.0 – 46.6)", "38.5", "59.8", "60.8"],
        ["`tess_lstm`", "121,800", "TESS", "2", "–", "–", "99.0", "100.0"],
    ]
    with pytest.raises(ValueError, match="again measure the same"):
        systems_table([*runs, write_run(tmp_path / "again", corpora)])


def test_baselines_stand_at_the_end_of_the_systems(tmp_path):
    run = write_run(tmp_path / "folds", {"ravdess": figures(0.375)}, cross_validation=rounds())
    baseline = {"trained_on": ["tess"], "protocol": "train on one actress", "labels": ["angry", "sad"]}
    *_, last = systems_table([run], [baseline | figures(0.2, interval=[0.1, 0.3])]).splitlines()
    cells = ["eGeMAPS and an SVM", "–", "TESS, train on one actress", "2", "20.0 (10.0 – 30.0)", "21.0", "–", "–"]
    assert last.strip("| ").split(" | ") == cells


def test_unknown_corpora_stand_beside_the_baseline_of_the_same_clips(tmp_path):
    known = write_run(tmp_path / "folds", {"ravdess": figures(0.375)}, cross_validation=rounds())
    corpora = {"ravdess": figures(0.45, interval=[0.4, 0.5]), "tess": figures(0.3)}
    command = "python -m train crossvalidate"
    unknown = write_run(
        tmp_path / "unknown", corpora, command=command, cross_validation=rounds(protocol="cross-corpus")
    )
    folds = {"ravdess": figures(0.34, interval=[0.3, 0.4]), "tess": figures(0.38)}
    baselines = {"cross-corpus, ravdess_lstm": {"folds": folds, "command": "python -m benchmarks.egemaps"}}
    *lines, _, last = cross_corpus_table([known, unknown], baselines).splitlines()
    assert [line.strip("| ").split(" | ") for line in lines[2:]] == [
        ["`ravdess_lstm`", "RAVDESS", "2", "1440", "45.0 (40.0 – 50.0)", "34.0 (30.0 – 40.0)", "+11.0"],
        ["`ravdess_lstm`", "TESS", "2", "1440", "30.0", "38.0", "-8.0"],
        ["`ravdess_lstm`", "mean of 2 corpora", "2", "2880", "37.5", "36.0", "+1.5"],
    ]
    assert last == "By `python -m train crossvalidate` and `python -m benchmarks.egemaps`."
    assert systems_table([known, unknown]) == systems_table([known])
    assert cross_corpus_table([known], {}) == ""


def test_a_baseline_serves_every_recipe_of_the_same_clips():
    recipe = load_recipe("functional_lstm")
    task = {"name": "functional_lstm", "corpora": recipe.corpora, "labels": ["angry", "sad"]}
    task |= {"label_map": {}, "shares": recipe.shares}
    entry = {"recipe": "ser_clean_lstm", "trained_on": recipe.corpora, "labels": ["angry", "sad"]}
    baselines = {"ravdess, ravdess alone": {}, "cross-corpus, ser_clean_lstm": entry}
    assert baseline_of_clips(task, baselines) == entry
    for change in ({"shares": {"tess": 0.5}}, {"corpora": ["ravdess"]}, {"label_map": {"calm": "neutral"}}):
        assert baseline_of_clips(task | change, baselines) is None
    own = {"recipe": "functional_lstm"}
    assert baseline_of_clips(task, baselines | {"cross-corpus, functional_lstm": own}) == own


def test_figures_that_a_choice_had_seen_say_so(tmp_path):
    """Only the run that it was recorded for."""
    seen = {"ravdess": figures(0.6, uar_by_fold={"fold1": 0.66, "fold2": 0.54})}
    chosen = write_run(tmp_path / "a", seen, recipe="ser_ravdess_lstm", cross_validation=rounds(protocol="ravdess"))
    other = write_run(tmp_path / "b", seen, recipe="ser_ravdess_lstm", cross_validation=rounds(protocol="speakers"))
    another = write_run(tmp_path / "c", seen, cross_validation=rounds(protocol="ravdess"))
    (chosen / "record.json").write_text(json.dumps({"caveats": ["fold1 and fold2 for this choice"]}))
    _, _, note = caveat_notes([chosen, other, another]).splitlines()
    assert note.startswith("- `ser_ravdess_lstm`: fold1 and fold2 for this choice")
    assert note.endswith("UAR by fold: RAVDESS fold1 66.0, fold2 54.0.")
    assert caveat_notes([other, another]) == ""


def test_the_shipped_network_is_cross_validated_in_the_card(tmp_path, monkeypatch):
    """Whatever heads it has, and it says how many."""
    monkeypatch.setattr(systems, "RESULTS", tmp_path)
    network = json.loads((PRETRAINED / "recipe.json").read_text())["network"]
    one, two = network | {"heads": {"sequence": 1}}, network | {"heads": {"sequence": 1, "functionals": 1}}
    sexes = {"uar_by_sex": {"female": 0.63, "male": 0.57}}
    corpora = {
        "ravdess": figures(0.6, deviation=0.01, interval=[0.55, 0.65], **sexes),
        "tess": figures(0.7, uar_by_sex={"female": 0.7}),
    }
    write_run(tmp_path / "mine", corpora, network=two, cross_validation=rounds())
    write_run(tmp_path / "older", {"tess": corpora["tess"]}, network=one, cross_validation=rounds())
    write_run(tmp_path / "another", corpora, network={"lstm_sizes": [8]}, cross_validation=rounds())
    lines = [line.strip("| ").split(" | ") for line in cross_validation_table(PRETRAINED).splitlines()[2:]]
    shared = ["2", "five actor folds", "1440", "24", "3"]
    assert lines == [
        ["`ravdess_lstm`", "2", "RAVDESS", *shared, "60.0 ± 1.0", "55.0 – 65.0", "61.0", "63.0", "57.0"],
        ["`ravdess_lstm`", "2", "TESS", *shared, "70.0", "–", "71.0", "70.0", "–"],
        ["`ravdess_lstm`", "1", "TESS", *shared, "70.0", "–", "71.0", "70.0", "–"],
    ]
    assert cross_validation_table(tmp_path / "mine") == ""


def test_what_some_clips_bring_stands_for_each_corpus(tmp_path):
    drawn = {"uar": 0.6, "uar_adapted": 0.63, "difference": 0.03, "difference_interval": [0.01, 0.05]}
    lost = {"difference": -0.02, "difference_interval": [-0.04, 0.0]}
    for name, protocol, seeds, other in (("known", "speakers", [0, 1], lost), ("unknown", "cross-corpus", [0], None)):
        adapted_by = {"random clips": drawn, "clips of one emotion": lost, "another speaker": other}
        corpus = {"labels": ["angry", "sad"], "adapted_by": adapted_by, "with_labels": {"difference": 0.081}}
        content = {
            "recipe": {"name": name},
            "cross_validation": {"protocol": protocol},
            "seeds": seeds,
            "adapted_with": 10,
            "command": f"python -m train adaptation runs/{name}",
            "corpora": {"tess": corpus},
        }
        (tmp_path / name).mkdir()
        (tmp_path / name / "adaptation.json").write_text(json.dumps(content))
    (tmp_path / "not adapted").mkdir()
    runs = [tmp_path / name for name in ("known", "not adapted", "unknown")]
    *lines, _, last = adapted_table(runs).splitlines()
    figures = ["2", "10", "60.0", "63.0", "+3.0 (+1.0 – +5.0)", "-2.0 (-4.0 – +0.0)"]
    assert [line.strip("| ").split(" | ") for line in lines[2:]] == [
        ["`known`", "TESS, 2 seeds", *figures, "-2.0 (-4.0 – +0.0)", "+8.1"],
        ["`unknown`", "TESS, never heard", *figures, "–", "+8.1"],
    ]
    assert last == "By `python -m train adaptation runs/known` and `python -m train adaptation runs/unknown`."
    assert adapted_table([tmp_path / "not adapted"]) == ""

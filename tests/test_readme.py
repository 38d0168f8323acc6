"""README tells the truth: its examples run, its figures are those that were measured, its paths exist."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
import yaml
from huggingface_hub import ModelCard

from train.__main__ import main
from train.report.model_card import render_model_card
from train.report.readme import render_documents
from train.report.systems import cross_validation_table


PROJECT = Path(__file__).parents[1]
README = (PROJECT / "README.md").read_text()
PRETRAINED = PROJECT / "ser_model" / "pretrained"
PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md")), PROJECT / "CONTRIBUTING.md"]
EXAMPLES = [code for page in PAGES for code in re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.DOTALL)]
PRELUDE = 'import soundfile\nwaveform, _ = soundfile.read("recording.wav", dtype="float32")\n'


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess:
    """Run a command of README in a folder that looks like the project, without the network."""
    environment = os.environ | {"PYTHONPATH": str(PROJECT), "HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "hub")}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def folder(tmp_path, speech) -> Path:
    """A folder with the recordings that README speaks of."""
    (tmp_path / "ser_model").symlink_to(PROJECT / "ser_model")
    for name in ("recording.wav", "another.flac"):
        soundfile.write(tmp_path / name, speech, 16000)
    return tmp_path


@pytest.mark.parametrize("example", EXAMPLES, ids=[f"example {number}" for number in range(1, len(EXAMPLES) + 1)])
def test_python_examples_run(example, folder):
    (folder / "example.py").write_text(PRELUDE + example)
    process = run([sys.executable, "example.py"], folder)
    assert process.returncode == 0, process.stderr
    assert process.stdout.strip()


def test_command_line_example_runs(folder):
    command = re.search(r"^python (-m ser_model .*)$", README, flags=re.MULTILINE)[1].split()
    process = run([sys.executable, *command], folder)
    assert process.returncode == 0, process.stderr
    assert "recording.wav" in process.stdout
    assert "another.flac" in process.stdout


def test_links_lead_somewhere():
    for page in PAGES:
        targets = re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text())
        assert targets or page.name != "README.md"
        assert [target for target in targets if not (page.parent / target).exists()] == []


def test_figures_are_the_measured_ones():
    """`python -m train card --readme README.md` would change nothing."""
    pages = render_documents(PROJECT, PRETRAINED, PROJECT / "benchmarks" / "results.json")
    assert pages == {page: page.read_text() for page in pages}


def test_model_card_is_the_rendered_one():
    card = render_model_card(PRETRAINED, cross_validation=cross_validation_table(PRETRAINED))
    assert (PROJECT / "model_card.md").read_text() == str(card)


def test_model_card_has_the_fields_of_the_hub():
    data = ModelCard.load(PROJECT / "model_card.md").data
    assert data.pipeline_tag == "audio-classification"
    assert data.license == "cc-by-nc-sa-4.0"
    assert {result.dataset_type for result in data.eval_results} >= {"ravdess"}


def test_front_matter_starts_the_space():
    front_matter = yaml.safe_load(README.split("---\n")[1])
    pinned = re.search(r"^gradio(?:\[\w+\])?==(\S+)$", (PROJECT / "requirements.txt").read_text(), flags=re.MULTILINE)
    assert (PROJECT / front_matter["app_file"]).is_file()
    assert front_matter["sdk"] == "gradio"
    assert front_matter["sdk_version"] == pinned[1]


def test_log_of_experiments_reads_well():
    """Decisions come first, every section has its date, and no line is long."""
    lines = (PROJECT / "train" / "EXPERIMENTS.md").read_text().splitlines()
    assert [number for number, line in enumerate(lines, 1) if len(line) >= 200] == []
    assert next(line for line in lines if line.startswith("|")) == "| choice | evidence | rejected |"
    headings = [number for number, line in enumerate(lines) if line.startswith("## ")]
    undated = [lines[number] for number in headings if not re.fullmatch(r"Begun \d{4}-\d\d-\d\d\.", lines[number + 2])]
    assert undated == []


def test_one_command_writes_every_figure(tmp_path):
    """README, docs/ and card, after their figures were lost."""
    for page in ("README.md", "docs/results.md", "docs/benchmarks.md"):
        text = re.sub(
            r"(<!-- \w+: written .*?-->).*?(<!-- /)", r"\1\n\2", (PROJECT / page).read_text(), flags=re.DOTALL
        )
        assert text != (PROJECT / page).read_text()
        (tmp_path / page).parent.mkdir(exist_ok=True)
        (tmp_path / page).write_text(text)
    card, readme = tmp_path / "model_card.md", tmp_path / "README.md"
    command = ["card", str(PRETRAINED), "--output", str(card), "--readme", str(readme)]
    assert main([*command, "--benchmarks", str(PROJECT / "benchmarks" / "results.json")]) == 0
    for page in ("README.md", "docs/results.md", "docs/benchmarks.md", "model_card.md"):
        assert (tmp_path / page).read_text() == (PROJECT / page).read_text()


def test_ased_does_not_stand_alone():
    """Beside sentences that give the emotion away stand those that do not."""
    rows = [line for line in README.splitlines() if line.startswith("| ASED") and "the speakers" in line]
    assert ["common sentences" in row for row in rows] == [False, True]

# ruff: noqa: F401, F811 (fixtures are imported by name)
"""The notebook runs from top to bottom on a generated corpus, and pushes to a Hub on loopback."""

import os
import re
from pathlib import Path

import nbformat
import pytest
from huggingface_hub import HfApi
from nbclient import NotebookClient

from tests.hub_server import CLIENT_VARIABLES, HubServer, hub_server
from tests.train.generated_corpora import make_corpus
from train.data import COMMON_LABELS


NOTEBOOK = Path(__file__).parents[2] / "train" / "notebook.ipynb"
REPO_ID = "tester/ravdess-lstm"
CHANGES = [
    "network.lstm_sizes=[12,8]",
    "training.num_train_epochs=2",
    "training.learning_rate=0.01",
    "training.disable_tqdm=true",
]
SPEAKERS = [f"ravdess-{number}" for number in ("01", "02", "03", "22", "24")]  # the last is a test speaker
LONGEST_CELL = 12  # lines


@pytest.fixture(scope="module")
def notebook() -> nbformat.NotebookNode:
    return nbformat.read(NOTEBOOK, as_version=4)


@pytest.fixture
def settings(tmp_path, monkeypatch, hub_server) -> HubServer:
    """Environment of the kernel: a small corpus, few epochs, the Hub on loopback and caches of its own."""
    make_corpus("ravdess", tmp_path / "corpora", speakers=SPEAKERS, clips_per_label=2)
    for name in [name for name in os.environ if name.startswith(CLIENT_VARIABLES)]:
        monkeypatch.delenv(name)
    own = {
        "SER_CORPORA": str(tmp_path / "corpora"),
        "SER_OUTPUT": str(tmp_path / "output"),
        "SER_CHANGES": " ".join(CHANGES),
        "SER_REPO_ID": REPO_ID,
        "OMP_NUM_THREADS": "1",
        "IPYTHONDIR": str(tmp_path / "ipython"),
    }
    for name, value in (own | hub_server.client_settings(tmp_path / "hub_home")).items():
        monkeypatch.setenv(name, value)
    return hub_server


def printed(cell: nbformat.NotebookNode) -> str:
    return "".join(output["text"] for output in cell.outputs if output.get("name") == "stdout")


def pictures(cell: nbformat.NotebookNode) -> int:
    return sum("image/png" in output.get("data", {}) for output in cell.outputs)


def test_it_runs_from_top_to_bottom(notebook, settings, tmp_path):
    done = nbformat.from_dict(notebook)
    NotebookClient(
        done, timeout=300, kernel_name="python3", resources={"metadata": {"path": NOTEBOOK.parent}}
    ).execute()
    cells = {cell.id: cell for cell in done.cells if cell.cell_type == "code"}
    assert [pictures(cells[name]) for name in ("explore", "train", "evaluate")] == [2, 1, 1]
    assert re.search(r"^test +16 clips of ravdess-24$", printed(cells["recipe"]), flags=re.MULTILINE)
    assert "speaker-disjoint" in printed(cells["evaluate"])
    labels = "|".join(COMMON_LABELS)
    lines = printed(cells["predict"]).splitlines()
    assert len(lines) == 10
    assert all(re.fullmatch(rf"True: ({labels}) -> Predicted: ({labels}|no speech)", line) for line in lines)
    assert f"Loaded again: {', '.join(COMMON_LABELS)}" in printed(cells["push"])
    check_pushed(settings)


def check_pushed(server: HubServer) -> None:
    """The repository holds a checkpoint that anybody can load, and no checkpoints of the Trainer's."""
    files = set(server.files(REPO_ID))
    assert {"config.json", "model.safetensors", "preprocessor_config.json", "modeling_ser.py", "recipe.json"} <= files
    assert {"README.md", "metrics.json", "model.onnx"} <= files
    assert not [name for name in files if name.startswith(("trainer/", "pictures/"))]
    assert server.repository(REPO_ID).private


@pytest.mark.parametrize(("repo_id", "token"), [("", "hf_token_of_tester"), (REPO_ID, "")])
def test_without_a_place_or_a_token_nothing_is_pushed(
    notebook, hub_server, tmp_path, monkeypatch, capsys, repo_id, token
):
    for name, value in hub_server.client_settings(tmp_path, token).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "none"))
    (cell,) = [cell for cell in notebook.cells if cell.id == "push"]
    exec(cell.source, {"REPO_ID": repo_id})
    assert capsys.readouterr().out.startswith("Nothing was pushed")
    assert not hub_server.requests


def test_nothing_that_was_run_is_committed(notebook):
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None
            assert cell.source.count("\n") < LONGEST_CELL

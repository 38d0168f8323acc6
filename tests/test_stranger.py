"""The published model in the hands of a stranger: a fresh environment, a Hub on loopback, nothing of this project."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import soundfile

from ser_model.recognizer import PRETRAINED
from tests import stranger
from tests.fresh_environment import fresh_python, pinned
from tests.hub_server import HubServer, connect_huggingface_hub
from train.augment.voice import RATE
from train.publish.publishing import publish


pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # of huggingface_hub's uploads

REPO_ID = "tester/speech-emotion"
INSTALLED = pinned("torch", "transformers", "librosa", "accelerate")
OTHER_PYTHONS = ("3.12", "3.13")  # than that of the tests; pyproject.toml accepts them


@pytest.fixture(scope="module")
def hub(tmp_path_factory) -> HubServer:
    """A Hub with the shipped model; what is tagged v1 has another temperature."""
    first = shutil.copytree(PRETRAINED, tmp_path_factory.mktemp("first") / "checkpoint")
    config = json.loads((first / "config.json").read_text())
    (first / "config.json").write_text(json.dumps(config | {"temperature": 2 * config["temperature"]}))
    with HubServer() as server, pytest.MonkeyPatch.context() as patch:
        connect_huggingface_hub(patch, server, tmp_path_factory.mktemp("publisher"))
        publish(first, REPO_ID, tag="v1")
        publish(PRETRAINED, REPO_ID)
        yield server


@pytest.fixture(scope="module")
def outcomes(hub, speech, tmp_path_factory) -> dict[str, str]:
    """Outcome of each step, the last ones without the network."""
    folder, environment = place_of_a_stranger(hub, speech, tmp_path_factory)
    python = fresh_python(*INSTALLED)
    online = take_steps(python, environment, folder)
    offline = take_steps(python, environment | {"HF_HUB_OFFLINE": "1"}, folder, *stranger.OFFLINE_STEPS)
    return online | {f"{name} offline": outcome for name, outcome in offline.items()}


def place_of_a_stranger(hub, speech, tmp_path_factory) -> tuple[Path, dict[str, str]]:
    """A folder with a recording, and variables of an environment that knows the Hub and nothing of this project."""
    folder = tmp_path_factory.mktemp("stranger")
    soundfile.write(folder / "voice.wav", speech, RATE)
    environment = hub.environment(folder / "home") | {"OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONPATH", None)
    return folder, environment


def take_steps(python: Path, environment: dict[str, str], folder: Path, *steps: str) -> dict[str, str]:
    script = shutil.copy(stranger.__file__, folder)
    command = [python, script, REPO_ID, folder / "voice.wav", folder, *steps]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("step", [*stranger.STEPS, *(f"{name} offline" for name in stranger.OFFLINE_STEPS)])
def test_stranger_succeeds(outcomes, step):
    if outcomes[step].startswith("skipped: "):
        pytest.skip(outcomes[step].removeprefix("skipped: "))
    assert outcomes[step] == "done", outcomes[step]


@pytest.mark.parametrize("version", OTHER_PYTHONS)
def test_stranger_succeeds_with_another_python(hub, speech, tmp_path_factory, version):
    """By 5 GB of packages each, where pip finds no torch for the processor alone."""
    python = fresh_python(*INSTALLED, version=version)
    folder, environment = place_of_a_stranger(hub, speech, tmp_path_factory)
    outcomes = take_steps(python, environment, folder, *stranger.READING_STEPS)
    problems = {step: outcome for step, outcome in outcomes.items() if not outcome.startswith(("done", "skipped: "))}
    assert problems == {}
    assert "done" in outcomes.values()


def test_copy_holds_all_that_loading_needs_and_no_pickle(outcomes, hub):
    files = set(hub.files(f"{REPO_ID}-copy"))
    assert {"config.json", "model.safetensors", "modeling_ser.py", "network_ser.py", "acoustics.py"} <= files
    assert {Path(name).suffix for name in files - {".gitattributes"}} <= {".py", ".json", ".safetensors", ".md"}


def test_checkpoint_was_fetched_without_asking_for_more(outcomes, hub):
    """Loading reads weights, settings and code; the card, figures and exports stay where they are."""
    fetched = {request.path.rpartition("/")[2] for request in hub.requests_to(f"/{REPO_ID}/resolve/*", method="GET")}
    assert not {name for name in fetched if name.endswith((".png", ".onnx", ".md"))}

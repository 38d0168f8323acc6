"""The command line of training when it is stopped, when the disk is full, and when nobody reads what it prints."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import datasets
import numpy as np
import pytest

from tests.train.generated_corpora import make_corpus
from train.__main__ import main
from train.data import feature_cache
from train.interruptions import how_to_go_on


PROJECT = Path(__file__).parents[2]
TINY = ("network.lstm_sizes=[8, 8]", "network.dense_sizes=[8]", "training.disable_tqdm=true")
TIMEOUT_S = 120


@pytest.fixture(scope="module")
def corpora(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("corpora")
    make_corpus("ravdess", root, speakers=6, clips_per_label=1, duration_s=0.25)
    return root


@pytest.fixture(scope="module")
def environment(tmp_path_factory) -> dict[str, str]:
    cache = str(tmp_path_factory.mktemp("cache"))
    return os.environ | {"HF_DATASETS_CACHE": cache, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}


def fit_command(corpora: Path, output: Path, epochs: int) -> list[str]:
    settings = [part for change in (*TINY, f"training.num_train_epochs={epochs}") for part in ("--set", change)]
    places = ["--corpora-root", str(corpora), "--output", str(output)]
    return ["python", "-m", "train", "fit", "ravdess_lstm", *settings, *places]


def run(command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess:
    words = [sys.executable, *command[1:]]
    return subprocess.run(
        words, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False, timeout=TIMEOUT_S
    )


def test_ctrl_c_tells_the_command_that_goes_on(corpora, environment, tmp_path):
    command = fit_command(corpora, tmp_path / "run", 100_000)
    with subprocess.Popen(
        [sys.executable, *command[1:]],
        cwd=PROJECT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # Whoever starts the tests in the background may have told them, and all that they start, to ignore it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        try:
            wait_for(lambda: any(tmp_path.glob("run/trainer/checkpoint-*/manifest.json")), process)
        finally:
            errors = interrupted(process)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    last = errors.splitlines()[-1]
    assert last == f"stopped. To go on: {shlex.join([*command, '--resume'])}"
    given = shlex.split(last.partition("To go on: ")[2])
    done = run([*given, "--set", "training.num_train_epochs=1"], environment)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "metrics.json").is_file()


def interrupted(process: subprocess.Popen) -> str:
    """Standard error of a process as it is stopped; Ctrl-C that a library's callback swallows is pressed again."""
    for _ in range(5):
        os.killpg(process.pid, signal.SIGINT)
        try:
            return process.communicate(timeout=TIMEOUT_S / 5)[1]
        except subprocess.TimeoutExpired:
            continue
    process.kill()
    return process.communicate()[1]


def wait_for(condition, process: subprocess.Popen) -> None:
    end = time.monotonic() + TIMEOUT_S
    while not condition():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.fixture
def small_disk(tmp_path):
    """Gives the beginning of a command whose folder `disk` has so many bytes."""
    disk = tmp_path / "disk"
    disk.mkdir()

    def begin(size: str) -> list[str]:
        mount = f"mount -t tmpfs -o size={size} none {shlex.quote(str(disk))}"
        command = ["unshare", "-rm", "sh", "-c"]
        if shutil.which("unshare") is None or subprocess.run([*command, mount], capture_output=True).returncode:
            pytest.skip("this system lets nobody mount a small disk")
        return [*command, f'{mount} && exec "$@"', "sh"]

    return begin


@pytest.mark.parametrize("size", ["16k", "100k", "400k"], ids=["first checkpoint", "third checkpoint", "figures"])
def test_a_full_disk_tells_the_command_that_goes_on(corpora, environment, small_disk, tmp_path, size):
    command = fit_command(corpora, tmp_path / "disk", 3)
    words = [*small_disk(size), sys.executable, *command[1:]]
    done = subprocess.run(words, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1] == (
        f"error: the disk is full. Make room. To go on: {shlex.join([*command, '--resume'])}"
    )


def test_a_disk_that_may_not_be_written_is_told(corpora, environment, small_disk, tmp_path):
    command = fit_command(corpora, tmp_path / "disk" / "run", 1)
    words = [*small_disk("1m,ro"), sys.executable, *command[1:]]
    done = subprocess.run(words, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: ")
    assert "Read-only file system" in last


def test_a_corpus_that_vanishes_is_told(corpora, tmp_path, monkeypatch, capsys):
    """Its folder goes when the first clips have been read."""
    root, read, decode = Path(shutil.copytree(corpora, tmp_path / "corpora")), [], feature_cache.load_audio

    def vanishing(path: str, **arguments: object) -> np.ndarray:
        read.append(path)
        if len(read) == 5:
            shutil.rmtree(root)
        return decode(path, **arguments)

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(feature_cache, "load_audio", vanishing)
    assert main(fit_command(root, tmp_path / "run", 1)[3:]) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("error: ")
    assert read[4] in last
    assert not (tmp_path / "run" / "model.safetensors").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["fit", "x", "--resume"], "To go on: python -m train fit x --resume"),
        (["crossvalidate", "x", "--set", "a=[1, 2]"], "To go on: python -m train crossvalidate x --set 'a=[1, 2]'"),
        (["download", "tess"], "To go on: python -m train download tess"),
        (["evaluate", "x"], "To begin again: python -m train evaluate x"),
    ],
)
def test_which_command_goes_on(arguments, sentence):
    assert how_to_go_on(arguments) == sentence


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such device here")
@pytest.mark.parametrize(
    ("redirection", "code", "errors"),
    [
        ("| head -1", 0, ""),
        (">/dev/full", 1, "error: the disk is full. Make room. To begin again: python -m train recipes"),
        (">&-", 0, ""),
        ("2>&-", 0, ""),
        ("<&-", 0, ""),
    ],
)
def test_when_nobody_reads(redirection, code, errors, environment):
    command = f"set -o pipefail; '{sys.executable}' -m train recipes {redirection}"
    done = subprocess.run(["bash", "-c", command], cwd=PROJECT, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr.strip()) == (code, errors)


def test_names_of_files_and_labels_cannot_reach_the_terminal(corpora, tmp_path, environment):
    """In a log, in an error and in the examples of a test."""
    clips = sorted(corpora.rglob("*.wav"))
    for label in ("keen", "\x1b[2Jodd"):
        for speaker in range(4):
            folder = tmp_path / "mine" / label / f"s{speaker}\x1b[31m"
            folder.mkdir(parents=True)
            for number in range(2):
                shutil.copy(clips[speaker + number], folder / f"{number}\x1b]0;a\x07.wav")
    command = [*fit_command(corpora, tmp_path / "run", 1), "--corpora", f"folder:{tmp_path / 'mine'}"]
    trained, refused = run(command, environment), run([*command, "--set", "labels=[keen]"], environment)
    assert (trained.returncode, refused.returncode) == (0, 1)
    assert "\\x1b[2jodd" in trained.stdout
    assert "\\x1b[31m" in trained.stdout
    assert "\\x1b[2jodd" in refused.stderr
    shown = trained.stdout + trained.stderr + refused.stdout + refused.stderr
    assert not {character for character in shown if not (character.isprintable() or character == "\n")}


def test_errors_are_shown_whole_on_demand(capsys):
    assert main(["recipes", "none"]) == 1
    assert capsys.readouterr().err.startswith("error: There is no recipe 'none'")
    with pytest.raises(ValueError, match="There is no recipe"):
        main(["recipes", "none", "--traceback"])

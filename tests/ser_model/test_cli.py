"""The command line: table, JSON lines, errors and exit codes."""

import errno
import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from ser_model import __main__ as command_line
from ser_model.__main__ import main, progress_bar
from ser_model.terminal import columns, printable, shortened
from tests.conftest import LABELS
from train.augment.voice import RATE, speech_like


PROJECT = Path(__file__).parents[2]


@pytest.fixture
def run(checkpoint, capsys):
    """Runs the command with the tiny checkpoint; gives exit code, output and errors, as lists of lines."""

    def run(*arguments) -> tuple[int, list[str], list[str]]:
        code = main([*map(str, arguments), "--model", str(checkpoint)])
        output, errors = capsys.readouterr()
        return code, output.splitlines(), errors.splitlines()

    return run


@pytest.fixture
def silent_file(tmp_path) -> Path:
    path = tmp_path / "silence.wav"
    soundfile.write(path, np.zeros(RATE), RATE)
    return path


def test_table(run, speech_file, silent_file):
    code, output, errors = run(speech_file, silent_file)
    assert code == 0
    assert errors == []
    header, spoken, silent = output
    assert header.split() == ["file", "duration", "emotion", "confidence", "then"]
    assert spoken[: header.index("duration")].rstrip() in (str(speech_file), shortened(str(speech_file), 48))
    emotion, *_ = spoken[header.index("emotion") :].split()
    assert emotion in LABELS
    assert spoken.count("%") == 3
    assert "3.0 s" in spoken
    assert silent.endswith("no speech ")


def test_json(run, speech_file, silent_file):
    code, output, _ = run(speech_file, silent_file, "--json")
    spoken, silent = map(json.loads, output)
    assert code == 0
    assert spoken["path"] == str(speech_file)
    described = {"sure", "candidates", "arousal", "familiarity"}
    assert set(spoken) == {"path", "label", "scores", "confidence", "speech", "duration", "segments"} | described
    assert spoken["candidates"][0] == spoken["label"]
    assert 0 <= spoken["arousal"] <= 1
    assert spoken["familiarity"] is None
    assert list(spoken["scores"]) == list(LABELS)
    assert spoken["label"] == max(spoken["scores"], key=spoken["scores"].get)
    assert spoken["segments"][0]["end"] == 3.0
    assert silent["label"] == "no speech"
    assert silent["speech"] is silent["sure"] is False
    assert (silent["candidates"], silent["arousal"]) == ([], None)


def test_top_k(run, speech_file):
    _, table, _ = run(speech_file, "--top-k", 5)
    assert table[1].count("%") == 5
    _, lines, _ = run(speech_file, "--json", "--top-k", 2)
    answer = json.loads(lines[0])
    scores = list(answer["scores"].values())
    assert len(scores) == 2
    assert scores == sorted(scores, reverse=True)
    assert list(answer["segments"][0]["scores"].values()) == scores


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_bad_file_does_not_stop_the_others(run, tmp_path, speech_file, options):
    text = tmp_path / "text.wav"
    text.write_text("not a recording")
    empty = tmp_path / "empty"
    empty.mkdir()
    code, output, errors = run("missing.wav", speech_file, text, empty, speech_file, *options)
    assert code == 1
    assert len(output) == 2 + (not options)
    assert len(errors) == 3
    assert all(line.startswith("ser_model: ") for line in errors)
    assert "missing.wav" in errors[0]
    assert "wav, flac, ogg" in errors[1]
    assert "folder" in errors[2]


def test_standard_input(run, monkeypatch, speech_file):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(speech_file.read_bytes())))
    code, output, _ = run("-", "--json")
    assert code == 0
    assert json.loads(output[0])["duration"] == 3.0


def test_odd_names(run, tmp_path, speech_file):
    names = ["😀 日本.wav", "two\nlines.wav", "\udcff.wav", "x" * 200 + ".wav"]
    paths = [Path(shutil.copy(speech_file, tmp_path / name)) for name in names]
    code, table, errors = run(*paths)
    assert (code, errors) == (0, [])
    assert len(table) == 5
    starts = {columns(line[: line.index("3.0 s")]) for line in table[1:]}
    assert len(starts) == 1
    _, lines, _ = run(*paths, "--json")
    assert [json.loads(line)["path"] for line in lines] == list(map(str, paths))


@pytest.mark.parametrize("arguments", [[], ["a.wav", "--top-k", "0"], ["a.wav", "--top-k", "many"], ["--unknown"]])
def test_wrong_usage(arguments):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2


def test_a_model_that_is_none(capsys, tmp_path, speech_file):
    assert main([str(speech_file), "--model", str(tmp_path / "nothing")]) == 2
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.startswith("ser_model: There is no folder")
    assert len(errors.splitlines()) == 1


def test_progress_on_a_terminal(run, monkeypatch, tmp_path):
    path = tmp_path / "long.wav"
    soundfile.write(path, speech_like(13.0), RATE)
    _, _, errors = run(path)
    assert errors == []
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    _, _, errors = run(path)
    shares = [int(share) for line in errors for share in re.findall(r"(\d+)%", line)]
    assert shares == sorted(shares)
    assert 0 < shares[0] < shares[-1] == 100
    assert "\033[K" in errors[-1]


def test_bars_on_a_terminal(run, monkeypatch, speech_file):
    monkeypatch.setattr(command_line, "shows_bars", lambda: True)
    _, (header, row), _ = run(speech_file)
    assert any(block in row for block in command_line.BLOCKS[1:])
    assert header.index("confidence") + len("confidence") == row.index("%") + 1


@pytest.mark.parametrize(("share", "bar"), [(0, ""), (0.5, "█████"), (0.26, "██▋"), (1, "██████████")])
def test_bar(share, bar):
    assert progress_bar(share) == bar.ljust(10)


def test_names_for_a_terminal():
    assert printable("a\nb\x1b[31m") == "a\\nb\\x1b[31m"
    assert shortened("folder/clip.wav", 9) == "…clip.wav"
    assert columns("日本e\u0301") == 5


def test_help_imports_nothing_heavy_and_teaches():
    command = [sys.executable, "-X", "importtime", "-m", "ser_model", "--help"]
    process = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    assert "examples:" in process.stdout
    assert "torch" not in process.stderr
    assert "numpy" not in process.stderr


def test_as_a_process(checkpoint, speech_file):
    command = [sys.executable, "-m", "ser_model", speech_file, "missing.wav", "--json", "--model", checkpoint]
    process = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert process.returncode == 1
    assert json.loads(process.stdout)["speech"] is True
    assert process.stderr == "ser_model: There is no file 'missing.wav': check the path.\n"


WITHOUT_TORCH = """
import sys
from ser_model.__main__ import main
code = main(sys.argv[1:])
assert not {"torch", "transformers"} & sys.modules.keys()
sys.exit(code)
"""


def test_the_model_that_comes_along_answers_without_pytorch(speech_file):
    command = [sys.executable, "-c", WITHOUT_TORCH, speech_file, "--json"]
    process = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    assert json.loads(process.stdout)["speech"] is True


def test_a_reader_that_stops_early(checkpoint, speech_file):
    clips = " ".join([str(speech_file)] * 300)
    command = f"{sys.executable} -m ser_model {clips} --json --model {checkpoint} | head -1"
    process = subprocess.run(command, cwd=PROJECT, shell=True, capture_output=True, text=True, check=False)
    assert len(process.stdout.splitlines()) == 1
    assert process.stderr == ""


def test_a_folder_is_answered_with_what_is_in_it(run, speech_file, tmp_path):
    folder = tmp_path / "many"
    (folder / "deeper").mkdir(parents=True)
    for name in ("b.wav", "deeper/a.WAV", ".hidden.wav", "notes.txt"):
        shutil.copy(speech_file, folder / name)
    code, output, _ = run(folder, "--json")
    assert code == 0
    names = [Path(json.loads(line)["path"]).relative_to(folder).as_posix() for line in output]
    assert names == ["b.wav", "deeper/a.WAV"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such device here")
@pytest.mark.parametrize(
    ("redirection", "message"),
    [
        ("- <&-", "standard input is closed"),
        ("CLIP >&-", "standard output is closed"),
        ("CLIP >/dev/full", "cannot be written: No space left"),
        ("CLIP --json >/dev/full", "cannot be written: No space left"),
        ("--help >/dev/full", ""),
    ],
)
def test_closed_streams_and_a_full_disk(checkpoint, speech_file, redirection, message):
    clip = redirection.replace("CLIP", f"'{speech_file}'")
    command = f"'{sys.executable}' -m ser_model --model '{checkpoint}' {clip}"
    done = subprocess.run(command, shell=True, cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode == (1 if message else 0)
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_closed_error_stream_hides_no_answer(checkpoint, speech_file):
    command = f"'{sys.executable}' -m ser_model --model '{checkpoint}' --json '{speech_file}' 2>&-"
    done = subprocess.run(command, shell=True, cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode == 0
    assert json.loads(done.stdout)["speech"] is True


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such device here")
@pytest.mark.parametrize(
    ("redirection", "code", "message"),
    [
        ("--output /dev/full", 2, "/dev/full cannot be written: No space left"),
        ("--output nowhere/model.onnx", 2, "nowhere/model.onnx cannot be written: No such file"),
        ("--output OUT/model.onnx >/dev/full", 1, "cannot be written: No space left"),
        ("--output OUT/model.onnx >&-", 1, "standard output is closed"),
        ("--output OUT/model.onnx <&-", 0, ""),
    ],
)
def test_an_export_to_a_full_disk_and_closed_streams(checkpoint, tmp_path, redirection, code, message):
    command = f"'{sys.executable}' -m ser_model export '{checkpoint}' {redirection.replace('OUT', str(tmp_path))}"
    done = subprocess.run(command, shell=True, cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode == code
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == bool(message)


def test_half_an_export_is_not_left_behind(checkpoint, tmp_path, monkeypatch, capsys):
    def write_half(path: Path, content: bytes) -> int:
        with open(path, "wb") as file:
            file.write(content[: len(content) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", write_half)
    assert main(["export", str(checkpoint), "--output", str(tmp_path / "model.onnx")]) == 2
    assert "model.onnx cannot be written: No space left" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_labels_and_names_cannot_reach_the_terminal(checkpoint, speech, tmp_path, capsys):
    """A model of a stranger whose labels clear the screen, a file whose name sets its title."""
    folder = Path(shutil.copytree(checkpoint, tmp_path / "model"))
    config = json.loads((folder / "config.json").read_text())
    labels = [f"\x1b[2J{label}\r\x9b" for label in config["id2label"].values()]
    config |= {"id2label": dict(enumerate(labels)), "label2id": {label: index for index, label in enumerate(labels)}}
    (folder / "config.json").write_text(json.dumps(config))
    clip, none = tmp_path / "\x1b]0;a\x07.wav", tmp_path / "\x1b[31m.wav"
    soundfile.write(clip, speech, RATE)
    for more in ([], ["--json"]):
        assert main([str(clip), str(none), "--model", str(folder), *more]) == 1
        assert main([str(clip), "--model", str(none)]) == 2
        output, errors = capsys.readouterr()
        assert "x1b" in output or "u001b" in output
        assert not [character for character in output + errors if not (character.isprintable() or character == "\n")]

"""The audit finds what it is for, and finds nothing in the project."""

import json

import pytest

from scripts import audit


TOKEN = "hf_" + "a1B2" * 9
LINE = "torch==2.13.0 --hash=sha256:" + "0" * 64


@pytest.mark.skipif(
    not (audit.PROJECT / ".git").exists(), reason="not a clone: git tells which files are the project's"
)
def test_nothing_is_found_in_the_project(capsys):
    status = audit.main()
    out = capsys.readouterr().out
    assert " 0 findings" in out, out
    assert status == 0, out
    content = json.loads(audit.SBOM.read_text())
    names = {component["name"] for component in content["components"]}
    assert {"torch", "gradio", "onnxruntime"} <= names


@pytest.mark.parametrize(
    "text",
    [
        f"token: {TOKEN}",
        "ghp_" + "x" * 36,
        "AKIA" + "Z" * 16,
        "-----BEGIN " + "PRIVATE KEY-----",
        "password = " + "'correct-horse-battery'",
    ],
)
def test_secrets_are_found_and_not_shown(text):
    (found,) = audit.secrets(f"first line\n{text}\n")
    assert found.startswith("line 2 looks like")
    assert text[:12] not in found


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from joblib import load",
        "eval(text)",
        "torch.load(path)",
        "np.load(path, allow_pickle=True)",
        "subprocess.run(command, shell=True)",
        "yaml.load(text)",
    ],
)
def test_code_that_runs_what_it_reads_is_found(source):
    assert len(audit.unsafe_code(f"import os\n{source}\n")) == 1


def test_safe_code_is_not_found():
    lines = ["import re", "re.compile('x')", "model.eval()", "yaml.safe_load(text)", "yaml.load(text, MySafeLoader)"]
    assert audit.unsafe_code("\n".join([*lines, "np.load(path)"])) == []


def test_lock_without_a_hash_is_found():
    assert audit.unhashed(f"# comment\n{LINE}\n") == []
    assert len(audit.unhashed(f"{LINE}\ntqdm==4.70.1\n")) == 1

"""The package installs with all that it needs, and its versions are those of the requirements files and the locks."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import soundfile

from tests.test_readme import EXAMPLES


PROJECT = Path(__file__).parents[1]
PACKAGE = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
LOCKS = {"requirements.lock": "requirements.txt", "requirements-dev.lock": "requirements-dev.txt"}


def pins(file: str) -> dict[str, str]:
    """Name and version of each line of a requirements file."""
    text = (PROJECT / file).read_text()
    return dict(re.findall(r"^([\w.\-]+)(?:\[\w+\])?==([^\s]+)", text, flags=re.MULTILINE))


def lower_bounds(requirements: list[str]) -> dict[str, str]:
    """Name and lowest version of the package's requirements but for its own extras."""
    parts = [re.fullmatch(r"([\w.\-]+)(?:\[[\w,]+\])?>=(\S+)", line) for line in requirements]
    return {part[1]: part[2] for part in parts if part}


def test_requirements_are_those_of_the_space_and_of_the_tests():
    extras = PACKAGE["optional-dependencies"]
    assert lower_bounds([*PACKAGE["dependencies"], *extras["page"]]) == pins("requirements.txt")
    assert lower_bounds([*extras["train"], *extras["onnx"]]) == pins("requirements-train.txt")
    assert lower_bounds(extras["cluster"]) == pins("requirements-cluster.txt")
    assert lower_bounds(extras["dev"]) == pins("requirements-dev.txt")


@pytest.mark.parametrize(("lock", "source"), LOCKS.items())
def test_lock_holds_every_requirement_with_a_hash(lock, source):
    lines = (PROJECT / lock).read_text().splitlines()[1:]
    assert all(re.fullmatch(r"[\w.\-]+==\S+ --hash=sha256:[0-9a-f]{64}", line) for line in lines)
    locked = {name.lower().replace("_", "-"): found.partition("+")[0] for name, found in pins(lock).items()}
    wanted = {name.lower().replace("_", "-"): version for name, version in pins(source).items()}
    assert wanted.items() <= locked.items()


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A folder in which pip has installed the package from a copy of the project, without what it depends on."""
    folder = tmp_path_factory.mktemp("installed")
    source = tmp_path_factory.mktemp("source")
    files = ["pyproject.toml", "README.md", "LICENSE", "app.py", "ser_model", "page", "train"]
    subprocess.run(["cp", "-r", *(PROJECT / name for name in files), source], check=True)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--target", folder, source], check=True)
    return folder


def run(command: list[str], installed: Path, folder: Path) -> subprocess.CompletedProcess:
    """Run something from a folder that is not the project, with the installed package alone."""
    environment = os.environ | {"PYTHONPATH": str(installed), "HF_HUB_OFFLINE": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_python_example_runs_elsewhere(installed, tmp_path, speech):
    soundfile.write(tmp_path / "recording.wav", speech, 16000)
    (tmp_path / "example.py").write_text("import ser_model\nprint(ser_model.__file__)\n" + EXAMPLES[0])
    done = run([sys.executable, "example.py"], installed, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(installed))
    assert re.search(r"\d+%", done.stdout)


@pytest.mark.parametrize(("script", "arguments"), [("ser", ["--help"]), ("ser-train", ["recipes"])])
def test_console_scripts_run_elsewhere(installed, tmp_path, script, arguments):
    done = run([sys.executable, installed / "bin" / script, *arguments], installed, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_installed_package_has_every_data_file(installed):
    listed = subprocess.run(
        ["git", "ls-files", "ser_model", "page", "train"], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    files = listed.stdout.splitlines()
    assert files
    assert [name for name in files if not (installed / name).is_file()] == []

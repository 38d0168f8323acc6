"""Virtual environments in which pip has installed what is named and nothing else: what a stranger or a Space has.

They are kept beside the environment of the tests, because torch takes a minute to install; a requirement that changes
makes a new one.
"""

import hashlib
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from filelock import FileLock


PROJECT = Path(__file__).parents[1]
FOLDER = PROJECT / ".venv" / "fresh"
COMPLETE = "complete"  # a file that is there once everything is installed
UNREACHABLE = ("NewConnectionError", "Temporary failure in name resolution", "ConnectTimeoutError")


def fresh_python(*requirements: str) -> Path:
    """The interpreter of an environment with these lines of a requirements file; skips where pip reaches no index."""
    key = hashlib.sha256("\n".join([sys.version, *requirements]).encode()).hexdigest()[:12]
    folder = FOLDER / key
    FOLDER.mkdir(parents=True, exist_ok=True)
    with FileLock(FOLDER / f"{key}.lock"):
        if not (folder / COMPLETE).exists():
            shutil.rmtree(folder, ignore_errors=True)
            install(folder, requirements)
            (folder / COMPLETE).touch()
    return folder / "bin" / "python"


def install(folder: Path, requirements: tuple[str, ...]) -> None:
    """Make an environment."""
    venv.create(folder, with_pip=True)
    listed = folder / "requirements.txt"
    listed.write_text("\n".join(requirements) + "\n")
    command = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-compile", "-r", listed]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if any(sign in done.stderr for sign in UNREACHABLE):
        pytest.skip("pip reaches no index of packages, so that no fresh environment can be made")
    assert done.returncode == 0, done.stderr


def pinned(*names: str) -> list[str]:
    """The lines of requirements-train.txt and of requirements.txt for these packages."""
    files = (PROJECT / "requirements.txt", PROJECT / "requirements-train.txt")
    lines = {line.partition("==")[0]: line for file in files for line in file.read_text().splitlines()}
    return [lines[name] for name in names]

"""Virtual environments in which pip has installed what is named and nothing else: what a stranger or a Space has.

They are kept beside the environment of the tests, because torch takes a minute to install; a requirement that changes
makes a new one.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock


PROJECT = Path(__file__).parents[1]
FOLDER = PROJECT / ".venv" / "fresh"
COMPLETE = "complete"  # a file that is there once everything is installed
UNREACHABLE = ("NewConnectionError", "Temporary failure in name resolution", "ConnectTimeoutError")


def fresh_python(*requirements: str, version: str | None = None) -> Path:
    """
    The interpreter of an environment with these lines of a requirements file; skips where pip reaches no index.

    Args:
        requirements: the lines.
        version: of Python, as 3.12; skips where there is none. By default the interpreter of the tests.
    """
    base = sys.executable if version is None else interpreter(version)
    key = hashlib.sha256("\n".join([base, sys.version, *requirements]).encode()).hexdigest()[:12]
    folder = FOLDER / key
    FOLDER.mkdir(parents=True, exist_ok=True)
    with FileLock(FOLDER / f"{key}.lock"):
        if not (folder / COMPLETE).exists():
            shutil.rmtree(folder, ignore_errors=True)
            install(base, folder, requirements)
            (folder / COMPLETE).touch()
    return folder / "bin" / "python"


def interpreter(version: str) -> str:
    """Path of a Python of this version, on the search path or beside others of pyenv; skips where there is none."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = [shutil.which(f"python{version}"), *sorted(root.glob(f"versions/{version}.*/bin/python"))]
    for path in filter(None, found):  # one on the search path may stand for a version that is not installed
        if subprocess.run([path, "-c", ""], capture_output=True, check=False).returncode == 0:
            return str(path)
    pytest.skip(f"there is no Python {version} here")


def install(base: str, folder: Path, requirements: tuple[str, ...]) -> None:
    """Make an environment."""
    subprocess.run([base, "-m", "venv", folder], check=True, capture_output=True)
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

"""Write requirements.lock, every package of `make app` and `make test` with its SHA-256: `python -m scripts.lock`.

The lock is of the machine that writes it: Linux on x86-64, Python 3.11 and the CPU build of PyTorch.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any


PROJECT = Path(__file__).parents[1]
LOCKS = {"requirements.lock": "requirements.txt", "requirements-dev.lock": "requirements-dev.txt"}
HEADER = "# Written by `python -m scripts.lock` from {source}, for Linux on x86-64, Python 3.11, PyTorch's CPU build."


def main() -> int:
    """Resolve and write both locks."""
    for name, source in LOCKS.items():
        (PROJECT / name).write_text(lock_text(resolved(source), source))
    return 0


def resolved(source: str) -> list[dict[str, Any]]:
    """Packages that pip would install into an empty environment, as its report lists them."""
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet", "--report", "-"]
    done = subprocess.run([*command, "-r", source], cwd=PROJECT, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)["install"]


def lock_text(packages: list[dict[str, Any]], source: str) -> str:
    """A requirements file of pinned packages with their hashes, by name."""
    lines = [
        f"{entry['metadata']['name']}=={entry['metadata']['version']} "
        f"--hash=sha256:{entry['download_info']['archive_info']['hashes']['sha256']}"
        for entry in sorted(packages, key=lambda entry: entry["metadata"]["name"].lower())
    ]
    return "\n".join([HEADER.format(source=source), *lines]) + "\n"


if __name__ == "__main__":
    sys.exit(main())

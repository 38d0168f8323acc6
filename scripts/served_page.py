"""The page as a process of its own, as a Space starts it."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx


PROJECT = Path(__file__).parents[1]
START_SECONDS = 300  # five on a machine that is not busy, where everything is compiled already
END_SECONDS = 20  # less than one on such a machine


@dataclass(frozen=True)
class ServedPage:
    """Where the page is, the folder in which its process keeps temporary files, and its log."""

    url: str
    temporary: Path
    process: subprocess.Popen
    log: Path


@contextlib.contextmanager
def served_page(
    folder: Path,
    model: Path | None = None,
    *,
    python: Path | str = sys.executable,
    project: Path = PROJECT,
    **limits: float,
) -> Iterator[ServedPage]:
    """`python app.py` with `model` or the shipped one, its temporary files and log in `folder`, for a `with` block.

    `python` and `project` are the interpreter and the folder of app.py, `limits` those of page/limits.py.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    temporary = folder / "temporary"
    temporary.mkdir()
    environment = os.environ | {
        "SER_MODEL": str(model or ""),
        "GRADIO_SERVER_PORT": str(port),
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
        "TMPDIR": str(temporary),
        **{f"SER_{name}": str(value) for name, value in limits.items()},
    }
    log = folder / "page.log"
    with log.open("w") as stream:
        process = subprocess.Popen(
            [python, "app.py"], cwd=project, env=environment, stdout=stream, stderr=subprocess.STDOUT
        )
    try:
        url = f"http://127.0.0.1:{port}/"
        wait_until_served(url, process, log)
        yield ServedPage(url, temporary, process, log)
    finally:
        process.terminate()
        process.wait(END_SECONDS)


def wait_until_served(url: str, process: subprocess.Popen, log: Path) -> None:
    """Return when the page answers; fail with its log when it ends or takes too long."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(url).status_code == 200:
                return
        time.sleep(0.1)
    raise RuntimeError(f"The page was not served within {START_SECONDS} s. Its log:\n{log.read_text()}")

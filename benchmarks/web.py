"""Cost of the page that runs in the browser alone, on this processor and as on a phone: python -m benchmarks.web"""

import functools
import http.server
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import soundfile
from playwright.sync_api import Page, sync_playwright

from benchmarks.measuring import Outcome, limited
from scripts.chromium import launch_chromium
from scripts.make_web import make_web
from ser_model.audio_io import SAMPLING_RATE
from ser_model.files import ONNX_FILE
from ser_model.recognizer import PRETRAINED
from train.augment.voice import speech_like


SLOWED = {"this processor": 1, "four times slowed": 4}
LENGTHS = (3, 60)  # seconds
LOAD_BAR, ANSWER_BAR = 10.0, 0.5  # seconds; of the recording's length
PATIENCE = 600_000  # milliseconds


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Logs nothing."""

    def log_message(self, *_arguments: object) -> None:
        """Nothing."""


def run() -> Iterator[Outcome]:
    """Load, first answer and answers, by each speed."""
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        make_web(folder / "web", PRETRAINED / ONNX_FILE)
        voices = {seconds: folder / f"{seconds}.wav" for seconds in LENGTHS}
        for seconds, path in voices.items():
            soundfile.write(path, speech_like(float(seconds)), SAMPLING_RATE)
        server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), functools.partial(QuietHandler, directory=folder / "web")
        )
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser = launch_chromium(playwright, voices[3])
        for speed, rate in SLOWED.items():
            page = browser.new_context().new_page()
            page.context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": rate})
            yield from measured(page, f"http://127.0.0.1:{server.server_port}/", voices, f"in the browser, {speed}")
        browser.close()
        server.shutdown()


def measured(page: Page, url: str, voices: dict[int, Path], where: str) -> Iterator[Outcome]:
    """The figures of one page that has not been visited yet."""
    start = time.perf_counter()
    page.goto(url)
    page.locator(".bar").first.wait_for(state="attached")
    yield limited(f"{where}: load", time.perf_counter() - start, "s", LOAD_BAR)
    first = answer(page, voices[3])
    yield limited(f"{where}: first answer, the network's loading included", first, "s", LOAD_BAR)
    for seconds, path in voices.items():
        took = answer(page, path)
        yield Outcome(
            f"{where}: answer", f"a recording of {seconds} s", took, float(seconds), "s", ANSWER_BAR, "ratio"
        )


def answer(page: Page, path: Path) -> float:
    """Seconds from the choice of a file to its answer."""
    page.locator(".answer").first.evaluate("element => (element.dataset.state = 'asked')")
    start = time.perf_counter()
    page.locator("#voice input[type=file]").set_input_files([])
    page.locator("#voice input[type=file]").set_input_files(path)
    page.locator('.answer[data-state="answer"]').wait_for(timeout=PATIENCE)
    return time.perf_counter() - start


def main() -> int:
    """Measure and print; 1 if a bar is missed."""
    outcomes = []
    for outcome in run():
        print(outcome.line(), flush=True)
        outcomes.append(outcome)
    return 0 if all(outcome.holds for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())

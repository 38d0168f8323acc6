"""Effect of a microphone on the answers: held-out clips played into the page by Chromium, and the same clips as files.

    python -m benchmarks.microphone --corpora-root DIR --output microphone.json

Every clip is recorded twice: as the page asks the browser for sound, and with the browser's own processing (automatic
gain, noise suppression, echo cancellation). The page answers both recordings and the file.
"""

import argparse
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import soundfile
import soxr
from datasets import Dataset
from playwright.sync_api import Browser, Page, expect, sync_playwright
from tqdm.auto import tqdm

from scripts.chromium import PROGRAM, launch_chromium
from scripts.page_client import PageClient, as_file
from scripts.served_page import served_page
from ser_model.audio_io import SAMPLING_RATE, load_audio
from ser_model.recognizer import PRETRAINED
from train.data import load_corpora, official_split
from train.data.splits import corpus_of
from train.fit.checkpoint import load_checkpoint


CORPORA = ("ravdess", "emodb", "ased")
CLIPS, SEED = 50, 0
MICROPHONE_RATE = 48000  # Hz
LEAD_SECONDS, TAIL_SECONDS = 1.0, 0.5  # between the presses and the voice
AGREEMENT_BAR = 0.95  # share of the recordings that get the label of their file
PATIENCE = 30_000  # milliseconds
FILE, PAGE, PROCESSED = "file", "as the page records", "with the browser's processing"
PROCESS = """
    const ask = MediaDevices.prototype.getUserMedia;
    MediaDevices.prototype.getUserMedia = function () {
        return ask.call(this, { audio: { autoGainControl: true, echoCancellation: true, noiseSuppression: true } });
    };
"""
SCRIPTS = {PAGE: "", PROCESSED: PROCESS}  # run before those of the page

Answer = Mapping[str, Any]  # as the page's /predict gives it


@dataclass(frozen=True)
class Microphone:
    """A page in a browser whose microphone plays what the file `voice` holds when the page opens it."""

    page: Page
    voice: Path
    address: str

    def record(self, waveform: np.ndarray) -> str:
        """Press, speak, press: the path of the recording on the server. The waveform is (samples,) at 16 kHz."""
        spoken = np.pad(waveform, (round(LEAD_SECONDS * SAMPLING_RATE), 0))
        soundfile.write(self.voice, soxr.resample(spoken, SAMPLING_RATE, MICROPHONE_RATE), MICROPHONE_RATE)
        button = self.page.locator("#microphone button").first
        button.click()
        expect(self.page.locator('#microphone [data-state="listening"]')).to_be_visible(timeout=PATIENCE)
        self.page.wait_for_timeout(1000 * (len(spoken) / SAMPLING_RATE + TAIL_SECONDS))
        with self.page.expect_response(re.compile("/upload"), timeout=PATIENCE) as response:
            button.click()
        (path,) = response.value.json()
        expect(self.page.locator('#microphone [data-state="idle"]')).to_be_visible(timeout=PATIENCE)
        return path


def open_microphone(browser: Browser, voice: Path, address: str, script: str) -> Microphone:
    """The page with a microphone, for a visitor of its own."""
    context = browser.new_context(permissions=["microphone"], locale="en-US")
    context.add_init_script(script)
    page = context.new_page()
    page.goto(address)
    expect(page.locator('#microphone [data-state="idle"]')).to_be_visible(timeout=PATIENCE)
    return Microphone(page, voice, address)


def answers(paths: Sequence[str]) -> Iterator[dict[str, Answer]]:
    """Answers of the page to each clip: as a file, and recorded in each way."""
    with tempfile.TemporaryDirectory() as name, served_page(Path(name)) as served, sync_playwright() as playwright:
        voice = Path(name, "voice.wav")
        client = PageClient(served.url)
        browser = launch_chromium(playwright, voice)
        microphones = {way: open_microphone(browser, voice, served.url, script) for way, script in SCRIPTS.items()}
        for path in tqdm(paths, desc="Recording", unit="clip"):
            files = {FILE: client.upload(Path(path))}
            waveform = load_audio(path)
            files |= {way: as_file(microphone.record(waveform)) for way, microphone in microphones.items()}
            yield {way: answered(client, file) for way, file in files.items()}
        browser.close()


def answered(client: PageClient, file: Mapping[str, Any]) -> Answer:
    """Answer of the page to a file on the server."""
    event, data = client.call("predict", file)
    if event != "complete":
        raise RuntimeError(f"The page does not answer: {data}")
    return data[0]


def held_out(corpora_root: str) -> Dataset:
    """`CLIPS` clips of the speakers that the shipped checkpoint has not heard, spread over corpora and labels."""
    checkpoint = load_checkpoint(str(PRETRAINED))
    recipe = checkpoint.recipe
    dataset = official_split(load_corpora(CORPORA, corpora_root, labels=recipe.labels, label_map=recipe.label_map))
    tested = dataset["test"]
    if heard := checkpoint.speakers & set(tested["speaker"]):
        raise RuntimeError(f"The checkpoint has heard {', '.join(sorted(heard))}: these speakers are no test.")
    groups = pd.DataFrame({"corpus": map(corpus_of, tested["speaker"]), "label": tested["label"]})
    shuffled = groups.sample(frac=1, random_state=SEED)
    turns = shuffled.groupby(["corpus", "label"]).cumcount().sort_values(kind="stable")
    return tested.select(turns.index[:CLIPS])


def figures(rows: Iterable[Mapping[str, Answer]], truth: Sequence[str]) -> dict[str, dict[str, float]]:
    """Of each way: `accuracy`, `uar`, and beside the file `agreement` and the mean `change` of a probability."""
    rows = list(rows)
    return {way: one_way([row[way] for row in rows], [row[FILE] for row in rows], truth) for way in rows[0]}


def one_way(given: Sequence[Answer], of_files: Sequence[Answer], truth: Sequence[str]) -> dict[str, float]:
    """The figures of answers beside those to the files, and beside the true labels."""
    labels = pd.Series([answer["label"] for answer in given])
    right = labels == pd.Series(truth)
    scores, of_file = (np.array([list(answer["scores"].values()) for answer in side]) for side in (given, of_files))
    return {
        "accuracy": float(right.mean()),
        "uar": float(right.groupby(list(truth)).mean().mean()),
        "agreement": float((labels == pd.Series([answer["label"] for answer in of_files])).mean()),
        "change": float(np.abs(scores - of_file).mean()),
    }


def table(measured: Mapping[str, Mapping[str, float]]) -> str:
    """The figures for the screen, in percent."""
    names = ("agreement", "accuracy", "uar", "change")
    lines = [f"{'of 100':32}" + "".join(f"{name:>12}" for name in names)]
    for way, row in measured.items():
        lines.append(f"{way:32}" + "".join(f"{100 * row[name]:12.1f}" for name in names))
    return "\n".join(lines)


def main() -> int:
    """Measure, print, write the figures; 1 if recordings of the page get other labels than their files too often."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.microphone", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--corpora-root", default=os.environ.get("SER_CORPORA"), help="default: the environment variable SER_CORPORA"
    )
    parser.add_argument("--output", type=Path, help="write the figures and each clip's labels to this JSON file")
    options = parser.parse_args()
    if not options.corpora_root:
        parser.error("give --corpora-root or set SER_CORPORA: the clips come from real corpora")
    if PROGRAM is None:
        parser.error("Chromium is not installed: apt install chromium")
    clips = held_out(options.corpora_root)
    truth = [clips.features["label"].names[label] for label in clips["label"]]
    rows = list(answers(clips["path"][:]))
    measured = figures(rows, truth)
    print(table(measured))
    if options.output:
        answers_by_clip = [
            {"clip": Path(path).name, "label": label, **{way: answer["label"] for way, answer in row.items()}}
            for path, label, row in zip(clips["path"], truth, rows, strict=True)
        ]
        content = {"command": "python -m benchmarks.microphone", "figures": measured, "clips": answers_by_clip}
        options.output.write_text(json.dumps(content, indent=2) + "\n")
    return 0 if measured[PAGE]["agreement"] >= AGREEMENT_BAR else 1


if __name__ == "__main__":
    sys.exit(main())

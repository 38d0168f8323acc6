"""Takes the pictures of the page in docs/: speaks recordings into the microphone of the page that is being served.

make app &
python -m scripts.screenshots RECORDING...
python -m scripts.screenshots RECORDING... --every FOLDER [--device URL]

Of several recordings the speech is joined, without pauses. The second takes every part, wide and on a phone, light
and dark, and every part in every language, to be looked at; with --device also the page that `make web` writes.
"""

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from playwright.sync_api import Browser, Page, expect, sync_playwright

from page.my_voice import SENTENCES
from page.texts import TEXTS
from scripts.chromium import launch_chromium
from ser_model.audio_io import SAMPLING_RATE, load_audio
from ser_model.speech_activity import CHUNK_SECONDS, SPEECH_PROBABILITY, speech_probabilities


FOLDER = Path(__file__).parents[1] / "docs"
PARTS = ("speak", "live", "voice", "many", "about")
SIZES = {1440: 900, 390: 844}  # width of a window: its height, in pixels
THEMES = ("light", "dark")
LOCALES = {"zh": "zh-CN"}  # where the language alone is none that a browser asks for


@dataclass(frozen=True)
class Picture:
    """A screenshot: a part of the page in a window of so many pixels, with a theme and a language."""

    part: str
    width: int
    height: int
    theme: str
    language: str = "en"


PICTURES = {
    "page": Picture("speak", 1180, 800, "light"),
    "dark": Picture("speak", 1180, 800, "dark"),
    "phone": Picture("speak", 390, 844, "dark"),
    "live": Picture("live", 1180, 700, "light"),
    "voice": Picture("voice", 1180, 700, "light"),
    "about": Picture("about", 1180, 800, "dark"),
}
EVERY = {
    f"{part}-{width}-{theme}": Picture(part, width, height, theme)
    for part in PARTS
    for width, height in SIZES.items()
    for theme in THEMES
} | {f"{part}-{language}": Picture(part, 390, SIZES[390], "light", language) for part in PARTS for language in TEXTS}
DEVICE = {
    f"device-{width}-{theme}": Picture("device", width, height, theme)
    for width, height in SIZES.items()
    for theme in THEMES
} | {f"device-{language}": Picture("device", 390, SIZES[390], "light", language) for language in TEXTS}
SCALE = 1.5  # pixels of the picture for one of the window
EXAMPLES = Path(__file__).parents[1] / "page" / "examples"
PATIENCE = 60_000  # milliseconds for whatever has to appear
SENTENCE_SECONDS = 4.0  # of a recording, which stand for a sentence that is read
BREATH = 0.15  # seconds before and after the speech of a recording that are kept
SETTLED = 1500  # milliseconds until nothing moves any more


def take_picture(
    browser: Browser, url: str, picture: Picture, path: Path, microphone: Path, recordings: list[np.ndarray]
) -> None:
    """Visit a part, speak the recordings where there is a microphone, and store what is seen then."""
    texts = TEXTS[picture.language]
    context = browser.new_context(
        viewport={"width": picture.width, "height": picture.height},
        color_scheme=picture.theme,
        device_scale_factor=SCALE,
        locale=LOCALES.get(picture.language, picture.language),
    )
    context.grant_permissions(["microphone"])
    page = context.new_page()
    page.goto(url)
    expect(page.locator("#answer .bar")).not_to_have_count(0)
    if picture.part != "device":
        page.get_by_role("tab", name=texts[f"tab_{picture.part}"]).click()
    seconds = put(microphone, np.concatenate(2 * recordings)) / 2
    if picture.part in ("speak", "device"):
        speak(page, seconds, texts)
        expect(page.locator('.answer[data-state="answer"]')).to_be_visible()
    elif picture.part == "live":
        page.get_by_role("button", name=texts["record"], exact=True).click()
        page.wait_for_timeout(1000 * seconds)  # then once more, so that the picture is taken while there is a voice
        expect(page.locator("#live .answer-faces .face:not([data-emotion=no_speech])").first).to_be_visible()
    elif picture.part == "voice":
        for number in range(1, SENTENCES + 1):
            expect(page.locator(".voice-sentence")).to_have_text(texts[f"voice_sentence_{number}"])
            seconds = put(microphone, recordings[(number - 1) % len(recordings)])
            speak(page, min(seconds, SENTENCE_SECONDS), texts)
        expect(page.locator(".voice-known")).to_be_visible()
    elif picture.part == "many":
        page.locator("#many input[type=file]").set_input_files(sorted(EXAMPLES.glob("*.mp3")))
        expect(page.locator("#many .downloads")).to_be_visible()
        page.locator(".many-open").first.click()
    page.mouse.move(0, 0)
    if picture.part != "live":
        page.wait_for_timeout(SETTLED)
    page.screenshot(path=path, full_page=True)
    context.close()


def put(microphone: Path, waveform: np.ndarray) -> float:
    """Seconds of a waveform, which is put where the microphone finds it when it is opened next."""
    soundfile.write(microphone, waveform, SAMPLING_RATE)
    return len(waveform) / SAMPLING_RATE


def speech_of(path: str) -> np.ndarray:
    """A recording from its first word to its last."""
    waveform = load_audio(path)
    spoken = np.flatnonzero(speech_probabilities(waveform) > SPEECH_PROBABILITY)
    start, end = spoken[0] * CHUNK_SECONDS - BREATH, (spoken[-1] + 1) * CHUNK_SECONDS + BREATH
    return waveform[max(0, round(start * SAMPLING_RATE)) : round(end * SAMPLING_RATE)]


def speak(page: Page, seconds: float, texts: dict[str, str]) -> None:
    """Press, speak for so many seconds, press."""
    page.get_by_role("button", name=texts["record"], exact=True).click()
    stop = page.get_by_role("button", name=texts["stop"], exact=True)
    expect(stop).to_be_visible()
    page.wait_for_timeout(1000 * seconds)
    stop.click()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recordings", nargs="+", metavar="RECORDING", help="what is spoken into the microphone")
    parser.add_argument(
        "--url", default="http://127.0.0.1:7860", help="where the page is served (default: %(default)s)"
    )
    parser.add_argument("--every", type=Path, metavar="FOLDER", help="take every part in every way, into this folder")
    parser.add_argument("--device", metavar="URL", help="with --every: where the page without a server lies")
    arguments = parser.parse_args()
    expect.set_options(timeout=PATIENCE)
    recordings = [speech_of(path) for path in arguments.recordings]
    pictures, target = (EVERY, arguments.every) if arguments.every else (PICTURES, FOLDER)
    target.mkdir(exist_ok=True, parents=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        microphone = Path(folder) / "voice.wav"
        browser = launch_chromium(playwright, microphone)
        for name, picture in (pictures | (DEVICE if arguments.device else {})).items():
            url = arguments.device if picture.part == "device" else arguments.url
            take_picture(browser, url, picture, target / f"{name}.png", microphone, recordings)
        browser.close()


if __name__ == "__main__":
    main()

"""Takes the pictures of the page in docs/: speaks a recording into the microphone of the page that is being served.

make app &
python -m scripts.screenshots RECORDING
python -m scripts.screenshots RECORDING --every FOLDER

The second takes every part, wide and on a phone, light and dark, and two parts in every language, to be looked at.
"""

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path

import soundfile
from playwright.sync_api import Browser, Page, expect, sync_playwright

from page.my_voice import SENTENCES
from page.texts import TEXTS
from scripts.chromium import launch_chromium
from ser_model.audio_io import SAMPLING_RATE, load_audio


FOLDER = Path(__file__).parents[1] / "docs"
PARTS = ("speak", "live", "voice", "many", "about")
SIZES = {1440: 900, 390: 844}  # width of a window: its height, in pixels
THEMES = ("light", "dark")
LOCALES = {"zh": "zh-CN"}  # where the language alone is none that a browser asks for


@dataclass(frozen=True)
class Picture:
    """What is taken: a part of the page in a window of so many pixels, with a theme and a language."""

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
} | {
    f"{part}-{language}": Picture(part, 390, SIZES[390], "light", language)
    for part in ("speak", "about")
    for language in TEXTS
}
SCALE = 1.5  # pixels of the picture for one of the window
EXAMPLES = Path(__file__).parents[1] / "page" / "examples"
PATIENCE = 60_000  # milliseconds for whatever has to appear
SENTENCE_SECONDS = 4.0  # of the recording, which stand for each sentence that is read
LEAD = 2.0  # seconds before the end at which the live picture is taken, while there is still a voice
SETTLED = 1500  # milliseconds until nothing moves any more


def take_picture(browser: Browser, url: str, picture: Picture, path: Path, recording: Path, seconds: float) -> None:
    """Visit a part, speak for so many seconds where there is a microphone, and store what is seen then."""
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
    page.get_by_role("tab", name=texts[f"tab_{picture.part}"]).click()
    if picture.part == "speak":
        speak(page, seconds, texts)
        expect(page.locator('.answer[data-state="answer"]')).to_be_visible()
    elif picture.part == "live":
        page.get_by_role("button", name=texts["record"], exact=True).click()
        page.wait_for_timeout(1000 * (seconds - LEAD))
    elif picture.part == "voice":
        for number in range(1, SENTENCES + 1):
            expect(page.locator(".voice-sentence")).to_have_text(texts[f"voice_sentence_{number}"])
            speak(page, min(seconds, SENTENCE_SECONDS), texts)
        expect(page.locator(".voice-known")).to_be_visible()
    elif picture.part == "many":
        files = [recording, *sorted(EXAMPLES.glob("*.mp3"))]
        page.locator("#many input[type=file]").set_input_files(files)
        expect(page.locator("#many .downloads")).to_be_visible()
        page.locator(".many-open").nth(1).click()
    page.mouse.move(0, 0)
    if picture.part != "live":
        page.wait_for_timeout(SETTLED)
    page.screenshot(path=path, full_page=True)
    context.close()


def speak(page: Page, seconds: float, texts: dict[str, str]) -> None:
    """Press, speak for so many seconds, press."""
    page.get_by_role("button", name=texts["record"], exact=True).click()
    stop = page.get_by_role("button", name=texts["stop"], exact=True)
    expect(stop).to_be_visible()
    page.wait_for_timeout(1000 * seconds)
    stop.click()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recording", help="what is spoken into the microphone, up to a minute")
    parser.add_argument(
        "--url", default="http://127.0.0.1:7860", help="where the page is served (default: %(default)s)"
    )
    parser.add_argument("--every", type=Path, metavar="FOLDER", help="take every part in every way, into this folder")
    arguments = parser.parse_args()
    waveform = load_audio(arguments.recording)
    expect.set_options(timeout=PATIENCE)
    pictures, target = (EVERY, arguments.every) if arguments.every else (PICTURES, FOLDER)
    target.mkdir(exist_ok=True, parents=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        voice = Path(folder) / "voice.wav"
        soundfile.write(voice, waveform, SAMPLING_RATE)
        browser = launch_chromium(playwright, voice)
        for name, picture in pictures.items():
            seconds = len(waveform) / SAMPLING_RATE
            take_picture(browser, arguments.url, picture, target / f"{name}.png", voice, seconds)
        browser.close()


if __name__ == "__main__":
    main()

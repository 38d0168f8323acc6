"""Takes the pictures of the page in docs/: speaks a recording into the microphone of the page that is being served.

make app &
python -m scripts.screenshots RECORDING
"""

import argparse
import tempfile
from pathlib import Path

import soundfile
from playwright.sync_api import Browser, Page, expect, sync_playwright

from page.my_voice import SENTENCES
from page.texts import ENGLISH
from scripts.chromium import launch_chromium
from ser_model.audio_io import SAMPLING_RATE, load_audio


FOLDER = Path(__file__).parents[1] / "docs"
# name: part of the page, width and height of the window in pixels, theme
PICTURES = {
    "page": ("speak", 1180, 800, "light"),
    "dark": ("speak", 1180, 800, "dark"),
    "phone": ("speak", 390, 844, "dark"),
    "live": ("live", 1180, 700, "light"),
    "voice": ("voice", 1180, 700, "light"),
    "about": ("about", 1180, 800, "dark"),
}
SCALE = 1.5  # pixels of the picture for one of the window
PATIENCE = 60_000  # milliseconds for whatever has to appear
SENTENCE_SECONDS = 4.0  # of the recording, which stand for each sentence that is read
LEAD = 2.0  # seconds before the end at which the live picture is taken, while there is still a voice
SETTLED = 1500  # milliseconds until nothing moves any more


def take_picture(browser: Browser, url: str, name: str, seconds: float) -> None:
    """Visit a part, speak for so many seconds where there is a microphone, and store what is seen then."""
    part, width, height, theme = PICTURES[name]
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=theme, device_scale_factor=SCALE, locale="en-US"
    )
    context.grant_permissions(["microphone"])
    page = context.new_page()
    page.goto(url)
    expect(page.locator("#answer .bar")).not_to_have_count(0)
    page.get_by_role("tab", name=ENGLISH[f"tab_{part}"]).click()
    if part == "speak":
        speak(page, seconds)
        expect(page.locator('.answer[data-state="answer"]')).to_be_visible()
    elif part == "live":
        page.get_by_role("button", name="Record", exact=True).click()
        page.wait_for_timeout(1000 * (seconds - LEAD))
    elif part == "voice":
        for number in range(1, SENTENCES + 1):
            expect(page.locator(".voice-sentence")).to_have_text(ENGLISH[f"voice_sentence_{number}"])
            speak(page, min(seconds, SENTENCE_SECONDS))
        expect(page.locator(".voice-known")).to_be_visible()
    page.mouse.move(0, 0)
    if part != "live":
        page.wait_for_timeout(SETTLED)
    page.screenshot(path=FOLDER / f"{name}.png", full_page=True)
    context.close()


def speak(page: Page, seconds: float) -> None:
    """Press, speak for so many seconds, press."""
    page.get_by_role("button", name="Record", exact=True).click()
    stop = page.get_by_role("button", name="Stop", exact=True)
    expect(stop).to_be_visible()
    page.wait_for_timeout(1000 * seconds)
    stop.click()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recording", help="what is spoken into the microphone, up to a minute")
    parser.add_argument(
        "--url", default="http://127.0.0.1:7860", help="where the page is served (default: %(default)s)"
    )
    arguments = parser.parse_args()
    waveform = load_audio(arguments.recording)
    expect.set_options(timeout=PATIENCE)
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        voice = Path(folder) / "voice.wav"
        soundfile.write(voice, waveform, SAMPLING_RATE)
        browser = launch_chromium(playwright, voice)
        for name in PICTURES:
            take_picture(browser, arguments.url, name, len(waveform) / SAMPLING_RATE)
        browser.close()


if __name__ == "__main__":
    main()

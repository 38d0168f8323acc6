"""Takes the pictures of the page in docs/: speaks a recording into the microphone of the page that is being served.

make app &
python -m scripts.screenshots RECORDING
"""

import argparse
import tempfile
from pathlib import Path

import soundfile
from playwright.sync_api import Browser, expect, sync_playwright

from scripts.chromium import launch_chromium
from ser_model.audio_io import SAMPLING_RATE, load_audio


FOLDER = Path(__file__).parents[1] / "docs"
# name: width and height of the window in pixels, theme, pixels of the picture for one of the window
PICTURES = {
    "page": (1180, 800, "light", 1.5),
    "dark": (1180, 800, "dark", 1.5),
    "phone": (390, 844, "dark", 1.5),
}
SETTLED = 1500  # milliseconds until nothing moves any more


def take_picture(browser: Browser, url: str, name: str, seconds: float) -> None:
    """Visit, speak for so many seconds, and store what is seen then."""
    width, height, theme, scale = PICTURES[name]
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=theme, device_scale_factor=scale, locale="en-US"
    )
    context.grant_permissions(["microphone"])
    page = context.new_page()
    page.goto(url)
    expect(page.locator(".bar")).not_to_have_count(0, timeout=60_000)
    page.get_by_role("button", name="Record", exact=True).click()
    page.wait_for_timeout(seconds * 1000)
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.locator('.answer[data-state="answer"]')).to_be_visible()
    page.mouse.move(0, 0)
    page.wait_for_timeout(SETTLED)
    page.screenshot(path=FOLDER / f"{name}.png", full_page=True)
    context.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recording", help="what is spoken into the microphone, up to a minute")
    parser.add_argument(
        "--url", default="http://127.0.0.1:7860", help="where the page is served (default: %(default)s)"
    )
    arguments = parser.parse_args()
    waveform = load_audio(arguments.recording)
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

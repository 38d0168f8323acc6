"""Headless Chromium whose microphone plays a file, for tests and pictures of the page."""

import shutil
from pathlib import Path

from playwright.sync_api import Browser, Playwright


PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
OPTIONS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--use-fake-device-for-media-stream"),
]


def launch_chromium(playwright: Playwright, voice: Path) -> Browser:
    """A browser whose microphone plays the wav file `voice` once; a context must still be granted the microphone."""
    options = [*OPTIONS, f"--use-file-for-fake-audio-capture={voice}%noloop"]
    return playwright.chromium.launch(executable_path=PROGRAM, args=options)

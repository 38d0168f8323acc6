"""Cost of the served page: answers, live visitors, a long recording, memory. Run: python -m benchmarks.page"""

import argparse
import itertools
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import soundfile

from benchmarks.measuring import Outcome, limited
from page.limits import AT_ONCE
from scripts.page_client import PageClient
from scripts.served_page import ServedPage, served_page
from train.augment.voice import speech_like


RATE = 48000  # Hz, as most microphones have
SHORT_SECONDS, ROUNDS = 5, 30
LONG_SECONDS = 600
VISITORS, LIVE_SECONDS, CHUNK_SECONDS = 8, 20, 0.5
CROWD, CROWD_REQUESTS = 32, 10  # visitors who ask at once, each so often, from an address of their own
WAIT_BAR, UNFAIR_BAR, RATE_BAR = 1.0, 3.0, 1.0
BUSY_SHARE = 0.1  # of the work, from which a thread counts
SETTLED, REQUESTS = 50, 500
ANSWER_BAR, LONG_BAR, MEMORY_BAR = 60, 10, 30  # ms, s, MB


def run() -> Iterator[Outcome]:
    """Every measurement in turn, on one page with the shipped model."""
    with tempfile.TemporaryDirectory() as folder, served_page(Path(folder), PROXIES=1) as page:
        client = PageClient(page.url)
        voices = write_voices(Path(folder))
        wait_for_model(client, voices["short"])
        for who, visitor in (("a visitor", "visitor"), ("a program", None)):
            answer = median_answer(client, voices["short"], visitor)
            yield limited(f"recording of 5 s, from the request of {who} to the answer", answer, "ms", ANSWER_BAR)
        yield from crowd(page, voices["short"], answer)
        yield limited(f"{VISITORS} live visitors, 95 % of the answers", live(page), "ms", 1e3 * CHUNK_SECONDS)
        yield limited(
            "recording of ten minutes to its timeline", long_recording(client, voices["long"]), "s", LONG_BAR
        )
        growth = memory_growth(page, client, voices)
        yield limited(f"memory after {REQUESTS} requests above {SETTLED}", growth, "MB", MEMORY_BAR)


def write_voices(folder: Path) -> dict[str, Path]:
    """Recordings of several lengths, and a file that is none."""
    voice = speech_like(10.0, rate=RATE)
    sounds = {
        "short": voice[: SHORT_SECONDS * RATE],
        "windows": voice,
        "silence": np.zeros(RATE),
        "long": np.tile(voice, LONG_SECONDS // 10),
    }
    paths = {name: folder / f"{name}.wav" for name in (*sounds, "bad")}
    for name, samples in sounds.items():
        soundfile.write(paths[name], samples, RATE)
    paths["bad"].write_bytes(b"no sound" * 99)
    return paths


def wait_for_model(client: PageClient, path: Path) -> None:
    """Return when the first answer has come."""
    event, data = client.call("predict", client.upload(path))
    if event != "complete" or not data[0]["speech"]:
        raise RuntimeError(f"The page does not answer: {data}")


def median_answer(client: PageClient, path: Path, visitor: str | None) -> float:
    """Milliseconds from the request, when the recording is on the server, to the answer.

    A visitor's browser asks within one session; a program has a new one for each request, which takes time, too.
    """
    recording = client.upload(path)
    return 1e3 * statistics.median(timed(client, "predict", recording, visitor) for _ in range(ROUNDS))


def timed(client: PageClient, endpoint: str, argument: object, visitor: str | None = None) -> float:
    """Seconds of a call that is answered."""
    start = time.perf_counter()
    event, data = client.call(endpoint, argument, visitor)
    if event != "complete":
        raise RuntimeError(f"/{endpoint} failed: {data}")
    return time.perf_counter() - start


def long_recording(client: PageClient, path: Path) -> float:
    """Seconds to the timeline of a long recording, upload included."""
    start = time.perf_counter()
    timed(client, "timeline", client.upload(path))
    return time.perf_counter() - start


def crowd(page: ServedPage, path: Path, alone: float) -> list[Outcome]:
    """Waits of visitors who all ask at once, beside asking one after the other, and the threads that compute for them.

    Args:
        page: that trusts one proxy to tell addresses.
        path: the recording.
        alone: milliseconds of an answer to a single one.
    """
    before, start = thread_seconds(page.process.pid), time.perf_counter()
    with ThreadPoolExecutor(CROWD) as visitors:
        delays = list(visitors.map(lambda index: ask_often(page.url, path, index), range(CROWD)))
    seconds = time.perf_counter() - start
    spent = {thread: after - before.get(thread, 0.0) for thread, after in thread_seconds(page.process.pid).items()}
    busy = sum(value > BUSY_SHARE * sum(spent.values()) for value in spent.values())
    median, late = 1e3 * np.percentile(list(itertools.chain(*delays)), [50, 99])
    name, each = f"{CROWD} visitors at once", 1e3 * seconds / (CROWD * CROWD_REQUESTS)
    return [
        Outcome(f"{name}, median answer", "all in turn", float(median), CROWD * alone, "ms", WAIT_BAR, "ratio"),
        Outcome(f"{name}, 99 % of the answers", "the median", float(late), float(median), "ms", UNFAIR_BAR, "ratio"),
        Outcome(f"{name}, an answer every so long", "one alone", each, alone, "ms", RATE_BAR, "ratio"),
        limited(f"{name}, threads that compute, beside the server's", busy - 1, "threads", AT_ONCE),
    ]


def ask_often(url: str, path: Path, visitor: int) -> list[float]:
    """Seconds of each answer to a visitor with an address of their own."""
    client = PageClient(url, f"10.0.0.{visitor}")
    recording = client.upload(path)
    return [timed(client, "predict", recording, f"crowd{visitor}") for _ in range(CROWD_REQUESTS)]


def thread_seconds(process_id: int) -> dict[str, float]:
    """Processor time that each thread of a process has taken."""
    ticks = os.sysconf("SC_CLK_TCK")
    files = Path(f"/proc/{process_id}/task").glob("*/stat")
    fields = {path.parent.name: path.read_text().rpartition(")")[2].split() for path in files}
    return {thread: (int(values[11]) + int(values[12])) / ticks for thread, values in fields.items()}


def live(page: ServedPage) -> float:
    """Milliseconds within which 95 % of the chunks of visitors who speak at once are answered."""
    with ThreadPoolExecutor(VISITORS) as visitors:
        delays = list(visitors.map(lambda index: talk(page.url, f"visitor{index}"), range(VISITORS)))
    return 1e3 * float(np.percentile(list(itertools.chain(*delays)), 95))


def talk(url: str, visitor: str) -> list[float]:
    """Speak at the pace of a microphone, and send what has been spoken since as live.js does.

    Returns:
        Seconds from the end of each chunk to its answer.
    """
    client = PageClient(url)
    voice = speech_like(LIVE_SECONDS, rate=RATE)
    begin, sent, delays = time.perf_counter(), 0.0, []
    while (spoken := time.perf_counter() - begin) < LIVE_SECONDS:
        if spoken - sent < CHUNK_SECONDS:
            time.sleep(sent + CHUNK_SECONDS - spoken)
            continue
        now = client.hear(visitor, len(delays), voice[round(sent * RATE) : round(spoken * RATE)], RATE)
        if now["number"] != len(delays) or now["state"] not in ("speech", "silent"):
            raise RuntimeError(f"Chunk {len(delays)} was answered by {now}")
        delays.append(time.perf_counter() - begin - spoken)
        sent = spoken
    client.leave(visitor)
    return delays


def memory_growth(page: ServedPage, client: PageClient, voices: dict[str, Path]) -> float:
    """MB by which the page's memory grew between `SETTLED` and `REQUESTS` mixed requests."""
    files = {name: client.upload(path) for name, path in voices.items() if name != "long"}
    asks = itertools.cycle(
        [
            lambda index: client.call("predict", files["short"]),
            lambda index: client.call("timeline", files["windows"]),
            lambda index: client.call("batch", [files["short"], files["bad"], files["silence"]]),
            lambda index: client.call("predict", files["bad"]),
            lambda index: client.hear(f"visitor{index}", 0, speech_like(CHUNK_SECONDS, rate=RATE), RATE),
            lambda index: client.leave(f"visitor{index - 1}"),
        ]
    )
    settled = 0.0
    for index, ask in zip(range(1, REQUESTS + 1), asks, strict=False):
        ask(index)
        if index == SETTLED:
            settled = megabytes(page.process.pid)
    return megabytes(page.process.pid) - settled


def megabytes(process_id: int, entry: str = "VmRSS") -> float:
    """Resident memory of a process; of another entry of its status in kB, such as VmHWM, its peak."""
    lines = Path(f"/proc/{process_id}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(entry)) / 1024


def main() -> int:
    """Measure, print, write the figures; 1 if a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page", description=__doc__)
    parser.add_argument("--output", type=Path, help="write the figures to this JSON file")
    options = parser.parse_args()
    outcomes = []
    for outcome in run():
        print(outcome.line(), flush=True)
        outcomes.append(outcome)
    if options.output:
        options.output.write_text(json.dumps([outcome.as_data() for outcome in outcomes], indent=2) + "\n")
    return 0 if all(outcome.holds for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())

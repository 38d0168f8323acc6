"""A crowd at the page: its answers are the library's, memory stays, a full queue says so, an attacker bars nobody.

Thirty-two clients ask with whole, damaged and long recordings, speak live, or vanish in the middle.
"""

import json
import statistics
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import soundfile

from benchmarks.measuring import Outcome, limited
from benchmarks.page import megabytes
from page import limits
from page.live import LiveStreams
from page.many import name_only
from scripts.page_client import PageClient, encoded
from scripts.served_page import ServedPage, served_page
from ser_model import EmotionRecognizer
from ser_model.audio_io import AudioError, load_audio
from ser_model.timeline import timeline_dict
from train.augment.voice import RATE, speech_like


CLIENTS, SECONDS, REQUESTS = 32, 120, 5000  # at least so long and so many
MEMORY_BAR, SERVED_BAR = 30, 5  # MB, s
SAMPLE_SECONDS = 0.5  # from one look at the memory to the next
LONG_SECONDS, CHUNKS, CHUNK_SECONDS = 20, 4, 0.5
CLOSE = 1e-5  # of numbers in an answer
ATTACK_SECONDS, ATTACKERS = 20, 8
SHARES = {"good": 0.5, "live": 0.15, "bad": 0.1, "batch": 0.1, "long": 0.05, "vanish": 0.1}


def same(ours: Any, theirs: Any) -> bool:
    """True if two answers are equal, but for the rounding of numbers."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return ours.keys() == theirs.keys() and all(same(ours[key], theirs[key]) for key in ours)
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    if isinstance(ours, float) and isinstance(theirs, int | float):
        return abs(ours - theirs) <= CLOSE
    return ours == theirs


class Library:
    """Recordings, and what the library says of them.

    Args:
        folder: for the recordings.
    """

    def __init__(self, folder: Path) -> None:
        self.recognizer = EmotionRecognizer.from_pretrained()
        self.good = [folder / f"voice {pitch}.flac" for pitch in range(90, 290, 10)]
        for seed, path in enumerate(self.good):
            soundfile.write(path, speech_like(1 + seed % 4, int(path.stem.split()[1]), seed), RATE)
        self.long, self.silent, self.bad = folder / "long.flac", folder / "silent.wav", folder / "bad.wav"
        soundfile.write(self.long, np.tile(speech_like(LONG_SECONDS / 4), 4), RATE)
        soundfile.write(self.silent, np.zeros(RATE), RATE)
        self.bad.write_bytes(b"no sound" * 99)
        self.predictions = {path: self.recognizer.predict(path) for path in (*self.good, self.long, self.silent)}
        try:
            load_audio(self.bad)
        except AudioError as error:
            self.problem = name_only(error, str(self.bad))
        self.sentence = speech_like(CHUNKS * CHUNK_SECONDS, seed=5)
        self.chunks = np.split(self.sentence, CHUNKS)
        streams = LiveStreams()
        bodies = [
            {"number": number, "rate": RATE, "samples": encoded(part)} for number, part in enumerate(self.chunks)
        ]
        self.moments = [plain(streams.hear("a", body, self.recognizer)) for body in bodies]

    def of_batch(self, path: Path) -> dict[str, Any]:
        """The row of a recording in the answer of /batch."""
        prediction = self.predictions.get(path)
        problem = self.problem if prediction is None else None
        return {"name": path.name, "prediction": prediction and plain(prediction.to_dict()), "problem": problem}


def plain(answer: Any) -> Any:
    """An answer as it comes out of JSON."""
    return json.loads(json.dumps(answer))


class Visitors:
    """Clients of a page, each in a thread and from an address of its own, until they have asked enough."""

    def __init__(self, page: ServedPage, library: Library, seconds: float, requests: int) -> None:
        self.page, self.library = page, library
        self.seconds, self.requests = seconds, requests
        self.begin = time.monotonic()
        self.became: Counter[str] = Counter()
        self.lock = threading.Lock()

    def note(self, became: str) -> None:
        """Count what became of a request."""
        with self.lock:
            self.became[became] += 1

    def compare(self, given: Any, expected: Any, what: str) -> None:
        """Note whether an answer is the library's."""
        equal = same(given, expected)
        if not equal:
            print(f"{what}: got {str(given)[:500]}, expected {str(expected)[:500]}", flush=True)
        self.note("the same" if equal else "another answer")

    def visit(self, number: int) -> None:
        """Ask until all together have asked enough."""
        client = PageClient(self.page.url, address=f"10.1.0.{number}")
        generator = np.random.default_rng(number)
        for turn in count():
            asked = self.became.total()
            if asked >= self.requests and time.monotonic() - self.begin >= self.seconds:
                return
            kind = generator.choice(list(SHARES), p=list(SHARES.values()))
            getattr(self, kind)(client, generator, f"{number}-{turn}")

    def ask(self, client: PageClient, endpoint: str, paths: list[Path], expected: Any) -> None:
        """Upload, ask, and compare with what the library says."""
        files = [client.upload(path) for path in paths]
        became, answer = asked(client, endpoint, files if endpoint == "batch" else files[0])
        if became == "busy":
            self.note(became)
        else:
            self.compare(answer, expected, f"/{endpoint} of {[path.name for path in paths]}")

    def good(self, client: PageClient, generator: np.random.Generator, _name: str) -> None:
        """A short recording."""
        path = self.library.good[generator.integers(len(self.library.good))]
        self.ask(client, "predict", [path], [plain(self.library.predictions[path].to_dict())])

    def bad(self, client: PageClient, _generator: np.random.Generator, _name: str) -> None:
        """No recording."""
        self.ask(client, "predict", [self.library.bad], self.library.problem)

    def long(self, client: PageClient, _generator: np.random.Generator, _name: str) -> None:
        """One that is answered moment by moment."""
        path = self.library.long
        self.ask(client, "timeline", [path], [plain(timeline_dict(self.library.predictions[path]))])

    def batch(self, client: PageClient, generator: np.random.Generator, _name: str) -> None:
        """Several, one of them bad."""
        first = self.library.good[generator.integers(len(self.library.good))]
        paths = [first, self.library.bad, self.library.silent]
        self.ask(client, "batch", paths, [[self.library.of_batch(path) for path in paths]])

    def live(self, client: PageClient, _generator: np.random.Generator, name: str) -> None:
        """Two seconds of speech, half of them at a time; some visitors leave without a word."""
        for number, (chunk, expected) in enumerate(zip(self.library.chunks, self.library.moments, strict=True)):
            now = client.hear(name, number, chunk, RATE)
            if now["state"] in ("busy", "stopped"):  # all places are taken, or the machine was too slow to keep one
                self.note("busy")
                return
            self.compare(now, expected, f"chunk {number}")
        client.leave(name)

    def vanish(self, client: PageClient, generator: np.random.Generator, name: str) -> None:
        """A visitor who goes before the answer, while uploading, or after the first word."""
        match generator.integers(3):
            case 0:
                event = client.http.post("call/predict", json={"data": [client.upload(self.library.long)]})
                if event.status_code == 200:
                    with client.http.stream("GET", f"call/predict/{event.json()['event_id']}"):
                        time.sleep(0.05)
            case 1:
                headers = {"content-type": "multipart/form-data; boundary=x", "content-length": "1000000"}
                try:
                    client.http.post("upload", content=broken(), headers=headers)
                except ConnectionAbortedError:
                    client.http.close()
                    client.http = PageClient(self.page.url, client.http.headers["x-forwarded-for"]).http
            case 2:
                client.hear(name, 0, self.library.chunks[0], RATE)
        self.note("vanished")


def broken() -> Iterator[bytes]:
    """An upload that ends in the middle."""
    yield b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.wav"\r\n\r\nRIFF'
    raise ConnectionAbortedError


def asked(client: PageClient, endpoint: str, argument: Any) -> tuple[str, Any]:
    """Answer to a program: ("complete", data), ("error", sentence) or, where there is no place, ("busy", sentence)."""
    joined = client.http.post(f"call/{endpoint}", json={"data": [argument]})
    if joined.status_code != 200:
        return "busy" if joined.status_code in (429, 503) else "error", joined.json()["detail"]
    text = client.http.get(f"call/{endpoint}/{joined.json()['event_id']}").text
    event, data = text.strip().split("\n")[-2:]
    answer = json.loads(data.removeprefix("data: "))
    if event == "event: complete":
        return "complete", answer
    return ("busy" if "queue" in answer["error"] or "busy" in answer["error"] else "error"), answer["error"]


def crowd(page: ServedPage, library: Library, clients: int, seconds: float, requests: int) -> list[Outcome]:
    """All kinds of visitors at once, and the memory of the page meanwhile."""
    visitors, resident, ended = Visitors(page, library, seconds, requests), [], threading.Event()

    def look() -> None:
        while not ended.wait(SAMPLE_SECONDS):
            resident.append(megabytes(page.process.pid))

    with ThreadPoolExecutor(clients + 1) as threads:
        looking = threads.submit(look)
        try:
            list(threads.map(visitors.visit, range(clients)))
        finally:
            ended.set()
            looking.result()
    took, became = time.monotonic() - visitors.begin, visitors.became
    quarter = max(1, len(resident) // 4)
    growth = statistics.median(resident[-quarter:]) - statistics.median(resident[quarter : 2 * quarter])
    requested = (
        f"{became.total():,} requests of {clients} clients in {took:.0f} s ({became['the same']:,} compared, "
        f"{became['busy']:,} told that there is no place, {became['vanished']:,} vanished)"
    )
    return [
        limited(f"{requested}: other answers than the library's", became["another answer"], "", 0),
        limited("memory in the last quarter of these above the second", growth, "MB", MEMORY_BAR),
    ]


def beyond_the_queue(page: ServedPage, library: Library) -> Outcome:
    """Twice as many long requests at once as the queue takes: each is answered or told that the page is busy."""
    visitors = Visitors(page, library, 0, 0)
    expected = [plain(timeline_dict(library.predictions[library.long]))]
    recording = PageClient(page.url).upload(library.long)
    clients = [PageClient(page.url, address=f"10.2.0.{number}") for number in range(2 * limits.WAITING)]

    def ask(client: PageClient) -> None:
        became, answer = asked(client, "timeline", recording)
        visitors.note(became) if became == "busy" else visitors.compare(answer, expected, "a long recording")

    with ThreadPoolExecutor(len(clients)) as threads:
        list(threads.map(ask, clients))
    became = visitors.became
    print(f"beyond the queue: {dict(became)}", flush=True)
    told = "neither answered nor told that the page is busy" if became["busy"] else "none told that the page is busy"
    wrong = became["another answer"] + (not became["busy"])
    return limited(f"{len(clients)} requests at once for a queue of {limits.WAITING}: {told}", wrong, "", 0)


def served_while(
    page: ServedPage, library: Library, attack: Callable[[PageClient, str], Any], seconds: float
) -> float:
    """The longest that an honest visitor waits, in seconds, while one address attacks in many threads."""
    slowest = 0.0
    with attacking(page, attack):
        end = time.monotonic() + seconds
        for number in count():
            honest = PageClient(page.url, address="10.4.0.1")
            steps = (
                lambda: asked(honest, "predict", honest.upload(library.good[0]))[0] == "complete",  # noqa: B023 (called at once)
                lambda: honest.hear(f"honest{number}", 0, library.chunks[0], RATE)["state"] in ("speech", "silent"),  # noqa: B023 (called at once)
                lambda: not honest.read(f"honest{number}", library.sentence, RATE)["problem"],  # noqa: B023 (called at once)
            )
            for step in steps:
                start = time.monotonic()
                served = step()
                slowest = max(slowest, time.monotonic() - start if served else float("inf"))
            honest.leave(f"honest{number}")
            if time.monotonic() > end:
                return slowest


@contextmanager
def attacking(page: ServedPage, attack: Callable[[PageClient, str], Any]) -> Iterator[None]:
    """One address that attacks in many threads, for a `with` block."""
    ended = threading.Event()

    def repeat(thread: int) -> None:
        client = PageClient(page.url, address="10.3.0.1")
        for number in count():
            if ended.is_set():
                return
            attack(client, f"attack{thread}-{number}")

    with ThreadPoolExecutor(ATTACKERS) as threads:
        running = [threads.submit(repeat, thread) for thread in range(ATTACKERS)]
        try:
            yield
        finally:
            ended.set()
            for future in running:
                future.result()


def attacks(page: ServedPage, library: Library) -> dict[str, Callable[[PageClient, str], Any]]:
    """Attacks by which one address can try to keep the others out, by their names."""
    tiny = {"number": 0, "rate": RATE, "samples": encoded(library.chunks[0][:160])}
    hour = PageClient(page.url, address="10.3.0.1").upload(library.long)
    noise = np.random.default_rng(0).integers(-99, 99, 3 << 20, np.int16).astype(float) / (1 << 15)
    sentence = {"number": 1, "action": "read", "rate": 1000, "samples": encoded(noise)}

    def post(client: PageClient, path: str, function: str, argument: Any, name: str) -> httpx.Response:
        body = {"data": [argument], "fn_index": client.functions[function], "session_hash": name}
        return client.http.post(path, json=body)

    return {
        "places in Live taken and left": lambda client, name: post(client, "run/predict", "hear", tiny, name),
        "long recordings without the queue": lambda client, name: (
            client.http.post("run/predict", json={"data": [hour]}),
            client.http.post("call/predict", json={"data": [hour]}),
        ),
        "sentences of 8 MB": lambda client, name: post(client, "queue/join", "learn_voice", sentence, name),
    }


def wait_for_model(page: ServedPage) -> None:
    """Return when the page says that it is ready."""
    while httpx.get(f"{page.url}healthz").status_code == 503:
        time.sleep(SAMPLE_SECONDS)


def run(
    clients: int = CLIENTS, seconds: float = SECONDS, requests: int = REQUESTS, attack_seconds: float = ATTACK_SECONDS
) -> Iterator[Outcome]:
    """Every part in turn, on a page with the shipped model."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        library = Library(folder)
        try:
            with served_page(folder) as page:
                wait_for_model(page)
                yield from crowd(page, library, clients, seconds, requests)
                yield beyond_the_queue(page, library)
                for name, attack in attacks(page, library).items():
                    slowest = served_while(page, library, attack, attack_seconds)
                    yield limited(f"longest wait while an address attacks ({name})", slowest, "s", SERVED_BAR)
        finally:
            before, *tracebacks = (folder / "page.log").read_text().split("Traceback")
            if tracebacks:
                print(before[-500:], tracebacks[0][:8000], flush=True)
        yield limited("errors that the page did not expect, in its log", len(tracebacks), "", 0)

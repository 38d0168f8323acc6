"""A program that talks to the served page by plain HTTP: the named endpoints, and the live part as a browser does."""

import base64
import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np


PATIENCE = 120  # seconds


class PageClient:
    """Asks the page at `url`."""

    def __init__(self, url: str, address: str | None = None):
        """`address`: whom to come from, told as a proxy on this machine tells it."""
        headers = {"x-forwarded-for": address} if address else {}
        self.http = httpx.Client(base_url=f"{url}gradio_api/", timeout=PATIENCE, headers=headers)
        dependencies = httpx.get(f"{url}config", timeout=PATIENCE).json()["dependencies"]
        self.functions = {entry["api_name"]: entry["id"] for entry in dependencies}

    def upload(self, path: Path) -> dict[str, Any]:
        """A file on the server, as an argument of a call."""
        with path.open("rb") as stream:
            (uploaded,) = self.http.post("upload", files={"files": stream}).json()
        return as_file(uploaded)

    def call(self, endpoint: str, argument: Any, visitor: str | None = None) -> tuple[str, Any]:
        """Ask a named endpoint, as a program or as a visitor: the last event ("complete" or "error") and its data."""
        body = {"data": [argument], "session_hash": visitor}
        event = self.http.post(f"call/{endpoint}", json=body).json()["event_id"]
        name, data = self.http.get(f"call/{endpoint}/{event}").text.strip().split("\n")[-2:]
        return name.removeprefix("event: "), json.loads(data.removeprefix("data: "))

    def hear(self, visitor: str, number: int, samples: np.ndarray, rate: int) -> dict[str, Any]:
        """Answer of the live part to the next chunk of a visitor; float samples within -1 to 1."""
        chunk = {"number": number, "rate": rate, "samples": encoded(samples)}
        return self._run("hear", visitor, chunk)["now"]

    def read(self, visitor: str, samples: np.ndarray, rate: int) -> dict[str, Any]:
        """State of a visitor's voice after a sentence, as the page knows it; float samples within -1 to 1."""
        sentence = {"number": 1, "action": "read", "rate": rate, "samples": encoded(samples)}
        return self._queue("learn_voice", visitor, sentence)["known"]

    def _run(self, function: str, visitor: str, argument: dict[str, Any]) -> dict[str, Any]:
        """Output of a function that the page keeps to itself, as the script of a component gets it."""
        body = {"data": [argument], "fn_index": self.functions[function], "session_hash": visitor}
        return self.http.post("run/predict", json=body).raise_for_status().json()["data"][0]["props"]

    def _queue(self, function: str, visitor: str, argument: dict[str, Any]) -> dict[str, Any]:
        """The same of a function that has a queue."""
        body = {"data": [argument], "fn_index": self.functions[function], "session_hash": visitor}
        self.http.post("queue/join", json=body).raise_for_status()
        lines = self.http.get("queue/data", params={"session_hash": visitor}).raise_for_status().text.splitlines()
        messages = [json.loads(line.removeprefix("data: ")) for line in lines if line]
        (output,) = [message["output"] for message in messages if message["msg"] == "process_completed"]
        return output["data"][0]["props"]

    def leave(self, visitor: str) -> None:
        """Open and close the connection by which the server knows that a visitor is there."""
        with self.http.stream("GET", f"heartbeat/{visitor}") as response:
            next(response.iter_raw())


def encoded(samples: np.ndarray) -> str:
    """Float samples within -1 to 1 as the page's scripts send them."""
    return base64.b64encode((32767 * samples).astype("<i2").tobytes()).decode()


def as_file(path: str) -> dict[str, Any]:
    """A path on the server as an argument of a call."""
    return {"path": path, "meta": {"_type": "gradio.FileData"}}

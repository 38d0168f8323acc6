"""Requests to the page and how they ended: a line for each in the log, and counts for Prometheus.

Neither knows who asked or what was said: no address, no name of a file, no sound.
"""

import json
import logging
import sys
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Literal


Outcome = Literal["answered", "refused", "failed", "left", "stopped"]

BUCKETS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)  # seconds
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

logger = logging.getLogger("ser.requests")


def log_requests() -> None:
    """Write the lines of the requests to the standard output, each as it is."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False


class Journal:
    """Counts requests by the door that they came to and by how they ended, and writes a line of JSON for each."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, str]] = Counter()  # door, outcome
        self.seconds: Counter[str] = Counter()  # by door
        self.within: Counter[tuple[str, float]] = Counter()  # door, upper bound in seconds
        self.gauges: dict[str, Callable[[], float]] = {}
        self.lock = threading.Lock()

    def note(self, request_id: str, door: str, outcome: Outcome, seconds: float, reason: str = "") -> None:
        """Count a request that has ended, and write its line; `reason` is a word for those without an answer."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = {"time": now, "id": request_id, "door": door, "outcome": outcome, "seconds": round(seconds, 3)}
        logger.info(json.dumps(line | ({"reason": reason} if reason else {})))
        with self.lock:
            self.requests[door, outcome] += 1
            self.seconds[door] += seconds
            self.within.update((door, bound) for bound in (*BUCKETS, float("inf")) if seconds <= bound)

    def exposition(self) -> str:
        """The counts in Prometheus' text format."""
        with self.lock:
            lines = ["# TYPE ser_requests_total counter"]
            for (door, outcome), count in sorted(self.requests.items()):
                lines.append(sample("ser_requests_total", {"door": door, "outcome": outcome}, count))
            lines.append("# TYPE ser_request_seconds histogram")
            for door in sorted(self.seconds):
                for bound in (*BUCKETS, float("inf")):
                    labels = {"door": door, "le": "+Inf" if bound == float("inf") else f"{bound:g}"}
                    lines.append(sample("ser_request_seconds_bucket", labels, self.within[door, bound]))
                lines.append(sample("ser_request_seconds_sum", {"door": door}, self.seconds[door]))
                lines.append(sample("ser_request_seconds_count", {"door": door}, self.within[door, float("inf")]))
        for name, value in self.gauges.items():
            lines += [f"# TYPE {name} gauge", sample(name, {}, value())]
        return "\n".join([*lines, ""])


def sample(name: str, labels: Mapping[str, str], value: float) -> str:
    """A line of the text format; the labels are the page's own words, which need no escapes."""
    inside = ",".join(f'{key}="{text}"' for key, text in labels.items())
    return f"{name}{{{inside}}} {value:g}" if inside else f"{name} {value:g}"

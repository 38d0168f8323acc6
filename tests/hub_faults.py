"""Failures on demand of the test Hub: which request fails, how, and how often."""

import threading
from dataclasses import dataclass
from fnmatch import fnmatchcase

from tests.hub_routes import Response, error_response


@dataclass
class Fault:
    """A failure that waits for its request: see HubServer.fail_next."""

    path_pattern: str
    method: str | None
    status: int | None
    headers: dict[str, str]
    times: int
    after_bytes: int
    in_answer: bool | None

    def __post_init__(self) -> None:
        if self.times < 1 or self.after_bytes < 0:
            raise ValueError(
                f"A failure needs times >= 1 and after_bytes >= 0, not {self.times} and {self.after_bytes}"
            )
        if self.status is not None and not 400 <= self.status <= 599:
            raise ValueError(f"A failure needs an error status, 400 to 599, or None for a cut, not {self.status}")

    def concerns(self, method: str, path: str) -> bool:
        return self.method in (None, method) and fnmatchcase(path, self.path_pattern)

    def strikes_answer(self, method: str) -> bool:
        """True if the failure comes with the answer, the work being done, rather than while the request arrives."""
        return method in ("GET", "HEAD") if self.in_answer is None else self.in_answer

    def response(self) -> Response:
        answer = error_response(self.status, f"Failure {self.status} on demand")
        return Response(answer.status, answer.body, {**answer.headers, **self.headers})


class Faults:
    """The failures still to come, in the order in which they were ordered."""

    def __init__(self):
        self._waiting: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._waiting.append(fault)

    def take(self, method: str, path: str) -> Fault | None:
        """The first failure that concerns a request; it is used up when it has struck as often as ordered."""
        with self._lock:
            fault = next((fault for fault in self._waiting if fault.concerns(method, path)), None)
            if fault is not None:
                fault.times -= 1
                self._waiting = [waiting for waiting in self._waiting if waiting.times > 0]
            return fault

    def count(self) -> int:
        with self._lock:
            return sum(fault.times for fault in self._waiting)

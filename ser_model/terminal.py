"""Text for a terminal: what names and labels may do to it, how wide they are, and streams that are closed."""

import os
import sys
import unicodedata
from typing import Any, TextIO


def open_closed_streams() -> None:
    """Give a process that was started without an output or an error stream one that leads nowhere."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 (open as long as the process)


class PrintableStream:
    """A stream of text that escapes what could disturb a terminal, and is the given one otherwise."""

    def __init__(self, stream: TextIO):
        self.stream = stream

    def write(self, text: str) -> int:
        """Write text, line ends as they are."""
        return self.stream.write("\n".join(map(printable, text.split("\n"))))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def printable(text: str) -> str:
    """Text whose control characters cannot disturb a terminal."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)


def shortened(text: str, limit: int) -> str:
    """The end of a text that is too long, behind an ellipsis."""
    while columns(text) > limit:
        text = "…" + text[2:]
    return text


def padded(text: str, width: int) -> str:
    """Text filled with blanks to a number of columns."""
    return text + " " * (width - columns(text))


def columns(text: str) -> int:
    """Columns of a terminal that a text takes: two for a wide character, none for a combining one."""
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )

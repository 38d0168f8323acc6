"""A command that was stopped or had no room left: what to tell, and the command that goes on."""

import errno
import logging
import shlex
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from ser_model.terminal import printable


GOES_ON = ("crossvalidate", "download", "publish", "publish-space", "reproduce")  # by themselves, given once more
FULL = (errno.ENOSPC, errno.EDQUOT)
LITTLE_SPACE = 1 << 20  # bytes; what failed to write more than this may not say why


class PrintableFormatter(logging.Formatter):
    """Lines of a log without what names of files and labels could do to a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """Message and traceback, if any, of a record."""
        return "\n".join(map(printable, super().format(record).splitlines()))


def how_to_go_on(arguments: Sequence[str]) -> str:
    """The sentence with the command that goes on where one with these arguments was cut."""
    command, words = arguments[0], list(arguments)
    if command == "fit" and "--resume" not in words:
        words.append("--resume")
    goes_on = command == "fit" or command in GOES_ON
    return f"{'To go on' if goes_on else 'To begin again'}: {shlex.join(['python', '-m', 'train', *words])}"


def is_disk_full(error: BaseException, output: Path | None) -> bool:
    """True if an error is that of a full disk; those of torch and safetensors only say that they could not write.

    Args:
        error: what was raised.
        output: folder that the command writes to, if it has one.
    """
    if any(isinstance(one, OSError) and one.errno in FULL for one in causes(error)):
        return True
    if isinstance(error, ValueError | OSError) or output is None:
        return False
    existing = next(folder for folder in (output, *output.absolute().parents) if folder.exists())
    return shutil.disk_usage(existing).free < LITTLE_SPACE


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and those that it followed from."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__

"""Train and evaluate: `python -m train --help`."""

import contextlib
import logging
import os
import sys
from collections.abc import Iterator

from ser_model.terminal import PrintableStream, open_closed_streams, printable
from train.arguments import parse
from train.commands import is_first_process
from train.interruptions import PrintableFormatter, how_to_go_on, is_disk_full


def main(arguments: list[str] | None = None) -> int:
    """Run one command; 0 on success, 1 when something given is wrong or the disk is full, 130 when it is stopped."""
    arguments = sys.argv[1:] if arguments is None else arguments
    open_closed_streams()
    options = parse(arguments)
    if not sys.stderr.isatty():
        os.environ.setdefault("TQDM_DISABLE", "1")  # progress bars would fill a log file
    set_up_log()
    try:
        with contextlib.redirect_stdout(PrintableStream(sys.stdout)), logged_warnings():
            return options.run(options)
    except KeyboardInterrupt:
        if is_first_process():
            tell(f"stopped. {how_to_go_on(arguments)}")
        return 130
    except BrokenPipeError:  # the reader has seen enough, as with `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        full = is_disk_full(error, getattr(options, "output", None))
        if options.traceback or not (full or isinstance(error, ValueError | OSError)):
            raise
        tell(f"error: the disk is full. Make room. {how_to_go_on(arguments)}" if full else f"error: {error}")
        return 1


def set_up_log() -> None:
    """Messages of this process to the standard error, without what names of files could do to a terminal."""
    handler = logging.StreamHandler()
    handler.setFormatter(PrintableFormatter())
    logging.basicConfig(level=logging.INFO if is_first_process() else logging.ERROR, handlers=[handler])
    for library in ("httpx", "httpx2"):
        logging.getLogger(library).setLevel(logging.WARNING)  # they log every request


@contextlib.contextmanager
def logged_warnings() -> Iterator[None]:
    """Context whose warnings are messages of the log."""
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)


def tell(message: str) -> None:
    """Print a message to the standard error."""
    print("\n".join(map(printable, message.splitlines())), file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())

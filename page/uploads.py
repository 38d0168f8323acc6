"""The folder of what was uploaded, which has a limit: the address that holds most gives its oldest files first."""

import contextlib
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from page import limits
from page.refused import RefusedError


MEGABYTE = 1 << 20
NO_LENGTH = "Tell the length of the upload, as Content-Length."
TOO_MUCH = "This upload is larger than {} MB: send fewer recordings at once, or compress them as mp3 or ogg."
FULL = "The server holds as many recordings as it can. Please try again in a minute."


class Uploads:
    """
    Keeps the files in `folder` within `UPLOADS_MEGABYTES`, those of an address within its share of it.

    Each has a folder of its own; a file beside those folders is on its way, and left over once nothing is added to it.

    Args:
        clock: tells the time as the file system does.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self.folder = folder
        self.clock = clock
        self.holders: dict[Path, str] = {}  # address of each file that was uploaded
        self.coming: Counter[str] = Counter()  # bytes that are on their way, by address
        self.lock = threading.Lock()  # of these two, held for a moment
        self.looking = threading.Lock()  # held by who looks through the folder

    def reserve(self, size: int | None, address: str) -> None:
        """
        Make room for an upload of so many bytes, until `release`.

        Raises:
            RefusedError: there is none.
        """
        if size is None:
            raise RefusedError(411, NO_LENGTH, "size")
        if size > limits.UPLOADS_OF_ADDRESS_MEGABYTES * MEGABYTE:
            raise RefusedError(413, TOO_MUCH.format(limits.UPLOADS_OF_ADDRESS_MEGABYTES), "size")
        with self.looking:
            self._make_room(size, address)
            with self.lock:
                self.coming[address] += size

    def release(self, size: int, address: str) -> None:
        """An upload that had room has ended."""
        with self.lock:
            self.coming[address] -= size
            if not self.coming[address]:
                del self.coming[address]

    def hold(self, paths: Iterable[str], address: str) -> None:
        """Remember who uploaded files."""
        with self.lock:
            self.holders.update((Path(path), address) for path in paths)

    def size(self) -> int:
        """Bytes of all files that are kept."""
        return sum(size for _, _, size in self._files())

    def _make_room(self, size: int, address: str) -> None:
        """Delete what must go for so many bytes more."""
        known = set(self.holders)
        files = self._files()
        self._forget(known - {path for _, path, _ in files})
        held = Counter(self.coming)
        for _, path, length in files:
            held[self.holders.get(path, "")] += length
        own = [file for file in files if self.holders.get(file[1]) == address]
        while own and held[address] + size > limits.UPLOADS_OF_ADDRESS_MEGABYTES * MEGABYTE:
            self._delete(own.pop(0), files, held)
        latest = self.clock() - limits.UPLOADS_SAFE_SECONDS
        while held.total() + size > limits.UPLOADS_MEGABYTES * MEGABYTE:
            old = [file for file in files if file[0] < latest]
            if not old:
                raise RefusedError(507, FULL, "full")
            self._delete(max(old, key=lambda file: (held[self.holders.get(file[1], "")], -file[0])), files, held)
        if held[address] + size > limits.UPLOADS_OF_ADDRESS_MEGABYTES * MEGABYTE:  # by what is on its way
            raise RefusedError(507, FULL, "full")

    def _forget(self, gone: set[Path]) -> None:
        """Remember no more whose these files were."""
        with self.lock:
            for path in gone:
                self.holders.pop(path, None)

    def _delete(self, file: tuple[float, Path, int], files: list[tuple[float, Path, int]], held: Counter[str]) -> None:
        _, path, length = file
        files.remove(file)
        path.unlink(missing_ok=True)
        held[self.holders.get(path, "")] -= length

    def _files(self) -> list[tuple[float, Path, int]]:
        """When each file was written, its path and its bytes, the oldest first; what was left over is deleted."""
        files = []
        # Folders come and go meanwhile, those of ffmpeg's copies for instance: os.walk passes over what is gone.
        paths = [Path(folder, name) for folder, _, names in os.walk(self.folder) for name in names]
        for path in paths:
            with contextlib.suppress(FileNotFoundError):
                state = path.stat()
                if path.parent != self.folder:
                    files.append((state.st_mtime, path, state.st_size))
                elif state.st_mtime < self.clock() - limits.UPLOADS_SAFE_SECONDS:
                    path.unlink()
        return sorted(files)

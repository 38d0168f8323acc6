"""An output folder that belongs to one process and to one set of settings, so that results are never mixed."""

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from train.fit.recipe import with_later_fields


SETTINGS_FILE = "settings.json"
LOCK_FILE = ".lock"
SHOWN_DIFFERENCES = 6


@contextlib.contextmanager
def claimed(output: Path, settings: Mapping[str, Any]) -> Iterator[None]:
    """Context in which a folder belongs to this process and to one set of settings.

    Raises:
        ValueError: another process works on it, or it holds something else.
    """
    check_folder(output, settings)
    with locked(output):
        with whole_file(output / SETTINGS_FILE) as path:
            path.write_text(json.dumps(settings, indent=2) + "\n")
        yield


@contextlib.contextmanager
def locked(output: Path) -> Iterator[None]:
    """Context in which a folder, made if there is none, belongs to this process.

    Raises:
        ValueError: another process works on it.
    """
    output.mkdir(parents=True, exist_ok=True)
    try:
        lock = FileLock(output / LOCK_FILE).acquire(timeout=0)
    except Timeout:
        raise ValueError(f"Another process works on {output}: wait for it, or give another --output.") from None
    with lock:
        yield


def check_folder(output: Path, settings: Mapping[str, Any]) -> None:
    """Raise ValueError if a folder holds something else than a run with these settings."""
    present = {path.name for path in output.iterdir()} if output.is_dir() else set()
    if not present - {LOCK_FILE, unfinished(Path(SETTINGS_FILE)).name}:  # those of a start that was killed at once
        return
    if SETTINGS_FILE not in present:
        raise ValueError(f"{output} is not empty and holds no {SETTINGS_FILE}: give another --output.")
    there, now = json.loads((output / SETTINGS_FILE).read_text()), json.loads(json.dumps(settings))
    if "recipe" in there:
        there["recipe"] = with_later_fields(there["recipe"])
    differences = list(compare_settings(there, now))
    if differences:
        shown = "".join(f"\n  {line}" for line in differences[:SHOWN_DIFFERENCES])
        more = f"\n  and {len(differences) - SHOWN_DIFFERENCES} more" if len(differences) > SHOWN_DIFFERENCES else ""
        raise ValueError(
            f"{output} holds a run with other settings, whose results would be mixed with those of this one:{shown}"
            f"{more}\nGive another --output, or delete that folder."
        )


def compare_settings(there: Any, now: Any, name: str = "") -> Iterator[str]:
    """Differences between two nested settings, one line for each value."""
    if isinstance(there, Mapping) and isinstance(now, Mapping):
        for key in sorted({*there, *now}):
            yield from compare_settings(there.get(key), now.get(key), f"{name}.{key}" if name else key)
    elif there != now:
        yield f"{name}: {there!r} there, {now!r} now"


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Context that gives a path to write to, and lets the file appear under its own name once it is complete."""
    yield unfinished(path)
    os.replace(unfinished(path), path)


def unfinished(path: Path) -> Path:
    """Where a file is written before it is complete."""
    return path.with_name(f"{path.name}.unfinished")

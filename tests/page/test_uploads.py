"""The folder of uploads stays within its limit."""

import os
import tempfile
import threading
from pathlib import Path

import pytest

from page import limits
from page.refused import RefusedError
from page.uploads import MEGABYTE, Uploads


@pytest.fixture
def uploads(tmp_path, monkeypatch) -> Uploads:
    """Room for ten megabytes, six of an address; it is the second 1000."""
    monkeypatch.setattr(limits, "UPLOADS_MEGABYTES", 10)
    monkeypatch.setattr(limits, "UPLOADS_OF_ADDRESS_MEGABYTES", 6)
    return Uploads(tmp_path, clock=lambda: 1000.0)


def put(uploads: Uploads, name: str, address: str, megabytes: int, second: float) -> Path:
    """A file that was uploaded."""
    path = uploads.folder / f"folder of {name}" / name
    path.parent.mkdir()
    path.write_bytes(bytes(megabytes * MEGABYTE))
    os.utime(path, (second, second))
    uploads.hold([str(path)], address)
    return path


def test_nothing_is_deleted_while_there_is_room(uploads):
    path = put(uploads, "one", "a", 6, 1.0)
    uploads.reserve(4 * MEGABYTE, "b")
    assert path.exists()
    assert uploads.size() == 6 * MEGABYTE


def test_oldest_of_the_address_that_holds_most_is_deleted(uploads):
    lone = put(uploads, "lone", "b", 2, 1.0)
    old, new = (put(uploads, name, "a", 3, second) for name, second in [("old", 2.0), ("new", 3.0)])
    uploads.reserve(3 * MEGABYTE, "c")
    assert [path.exists() for path in (lone, old, new)] == [True, False, True]


def test_address_over_its_share_deletes_its_own(uploads):
    other = put(uploads, "other", "b", 1, 1.0)
    old, new = (put(uploads, name, "a", 3, second) for name, second in [("old", 998.0), ("new", 999.0)])
    uploads.reserve(2 * MEGABYTE, "a")
    assert [path.exists() for path in (other, old, new)] == [True, False, True]


def test_what_has_just_come_is_not_deleted_for_another(uploads):
    recent = [put(uploads, name, name, 5, 999.0) for name in "ab"]
    with pytest.raises(RefusedError, match="as many recordings as it can") as caught:
        uploads.reserve(MEGABYTE, "c")
    assert caught.value.status == 507
    assert all(path.exists() for path in recent)


def test_uploads_on_their_way_count(uploads):
    for address in "ab":
        uploads.reserve(5 * MEGABYTE, address)
    with pytest.raises(RefusedError):
        uploads.reserve(MEGABYTE, "c")
    with pytest.raises(RefusedError):
        uploads.reserve(2 * MEGABYTE, "a")
    uploads.release(5 * MEGABYTE, "a")
    uploads.reserve(MEGABYTE, "c")
    assert uploads.coming == {"b": 5 * MEGABYTE, "c": MEGABYTE}


def test_more_than_an_address_may_hold_is_refused(uploads):
    with pytest.raises(RefusedError, match="larger than 6 MB"):
        uploads.reserve(7 * MEGABYTE, "a")
    uploads.reserve(6 * MEGABYTE, "a")


def test_what_an_interrupted_upload_left_is_deleted(uploads):
    left, coming = uploads.folder / "left", uploads.folder / "coming"
    for path, second in ((left, 1.0), (coming, 999.0)):
        path.write_bytes(b"x")
        os.utime(path, (second, second))
    uploads.reserve(MEGABYTE, "a")
    assert (left.exists(), coming.exists()) == (False, True)


def test_folders_that_vanish_meanwhile_are_passed_over(uploads):
    """Such as those in which recordings are decoded: they lie in the same folder."""
    ended = threading.Event()

    def come_and_go() -> None:
        while not ended.is_set():
            with tempfile.TemporaryDirectory(dir=uploads.folder) as folder:
                Path(folder, "recording").touch()

    threads = [threading.Thread(target=come_and_go) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(2000):
            uploads.reserve(1, "a")
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def test_whose_a_file_was_is_forgotten_with_it(uploads):
    put(uploads, "one", "a", 1, 1.0).unlink()
    uploads.reserve(MEGABYTE, "b")
    assert uploads.holders == {}

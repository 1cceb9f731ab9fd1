"""A folder is there completely or not at all."""

import errno
import os
import threading

import pytest

from difflaw.data.cache import publish, remove_abandoned, say_when_full
from difflaw.errors import InputError


def is_complete(folder):
    return (folder / "done").exists()


def write(folder):
    (folder / "done").write_text("x")


def test_publish_then_find(tmp_path):
    folder = publish(tmp_path / "deep" / "cache", "key", write, is_complete)
    assert is_complete(folder)
    assert [path.name for path in folder.parent.iterdir()] == ["key"]


def test_a_failed_build_leaves_nothing(tmp_path):
    def fail(folder):
        write(folder)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        publish(tmp_path, "key", fail, is_complete)
    assert list(tmp_path.iterdir()) == []


def test_an_incomplete_folder_is_replaced(tmp_path):
    (tmp_path / "key").mkdir()
    (tmp_path / "key" / "half").write_text("x")
    publish(tmp_path, "key", write, is_complete)
    assert [path.name for path in (tmp_path / "key").iterdir()] == ["done"]
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_the_loser_of_a_race_takes_the_winners(tmp_path):
    barrier = threading.Barrier(4)

    def build(folder):
        barrier.wait()
        write(folder)

    found = []
    threads = [
        threading.Thread(target=lambda: found.append(publish(tmp_path, "key", build, is_complete))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [tmp_path / "key"] * 4
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_a_place_that_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot create a folder here"):
        publish(tmp_path / "file", "key", write, is_complete)


def test_only_old_leftovers_are_removed(tmp_path):
    for name, age in ((".building-old", 10**6), (".building-new", 0), ("key", 10**6)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "f").write_text("x")
        when = folder.stat().st_mtime - age
        os.utime(folder / "f", (when, when))
        os.utime(folder, (when, when))
    remove_abandoned(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".building-new", "key"]


def test_a_full_disk_is_said(tmp_path):
    with pytest.raises(InputError, match=r"disk full .*: up to 1,234 bytes"), say_when_full(tmp_path, 1234):
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(OSError, match="other"), say_when_full(tmp_path, 1):
        raise OSError(errno.EIO, "other")

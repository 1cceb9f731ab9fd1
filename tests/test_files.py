"""Whole files or none, and a full disk in words."""

from __future__ import annotations

import errno
import os

import pytest

from difflaw.errors import InputError
from difflaw.files import NoRoom, read_json, read_json_lines, room_on_disk, write_json


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="full"):
        write_json(path, {"a": 2})
    assert read_json(path) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_full_disk_and_forbidden_folder_are_said_in_words(tmp_path) -> None:
    with pytest.raises(NoRoom, match="disk is full"), room_on_disk(tmp_path):
        raise OSError(errno.ENOSPC, "x")
    with pytest.raises(NoRoom, match="cannot be written"), room_on_disk(tmp_path):
        raise OSError(errno.EROFS, "x")
    with pytest.raises(FileNotFoundError), room_on_disk(tmp_path):
        raise FileNotFoundError


def test_damaged_json(tmp_path) -> None:
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(InputError, match=r"a\.json"):
        read_json(tmp_path / "a.json")
    (tmp_path / "a.jsonl").write_bytes(b'{"a": 1}\n\xff\xfe\n[1]\n{"a": 2}\n{"a"')
    assert [line["a"] for line in read_json_lines(tmp_path / "a.jsonl")] == [1, 2]

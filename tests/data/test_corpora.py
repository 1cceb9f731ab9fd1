"""Every kind of file, and every way a file can be wrong."""

import gzip
import json
import os
from collections import Counter

import pyarrow
import pytest
from pyarrow import parquet

from difflaw.data import find_sources, read_documents
from difflaw.errors import InputError


def read(corpus, text_key="text", max_bytes=None, skipped=None):
    names = [str(name) for name in corpus] if isinstance(corpus, list) else str(corpus)
    return list(read_documents(find_sources(names, text_key), max_bytes, skipped))


@pytest.mark.parametrize("suffix", [".txt", ".md", ".rst", ".py", ".TXT"])
def test_text_files_are_one_document_as_they_are(tmp_path, suffix):
    path = tmp_path / f"file{suffix}"
    path.write_bytes("\ufeffa\r\nb\n😀\r".encode())
    assert read(path) == ["a\r\nb\n😀\r"]


def test_json_lines(tmp_path):
    lines = '\ufeff{"text": "one", "n": 1}\n\n{"text": ""}\n{"text": null}\r\n{"text": "two\\u2028\\ud83d\\ude00"}'
    (tmp_path / "a.jsonl").write_bytes(lines.encode())
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(lines.encode(), mtime=0))
    assert read(tmp_path / "a.jsonl") == read(tmp_path / "b.jsonl.gz") == ["one", "two\u2028😀"]


def test_unpaired_surrogates_are_replaced(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "a\\ud800b😀"}')
    assert read(tmp_path / "a.jsonl") == ["a\ufffdb😀"]


def test_parquet(tmp_path):
    texts = [f"row {i}" for i in range(3000)] + [None]
    parquet.write_table(pyarrow.table({"body": texts, "n": list(range(3001))}), tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet", "body") == texts[:-1]
    with pytest.raises(InputError, match="no column 'text'; there is: body, n"):
        read(tmp_path / "a.parquet")
    with pytest.raises(InputError, match="column 'n' is int64, not text"):
        read(tmp_path / "a.parquet", "n")


def test_folders_are_walked_sorted_and_odd_files_counted(tmp_path):
    for name in ("b/z.txt", "b/a.md", "a.txt", ".hidden/x.txt", "c.txt"):
        path = tmp_path / "corpus" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    folder = tmp_path / "corpus"
    (folder / "binary.txt").write_bytes(b"a\0b")
    (folder / "latin.txt").write_bytes(b"\xe9")
    (folder / "photo.jpg").write_bytes(b"\xff")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.txt").write_text("secret")
    os.symlink(tmp_path / "outside", folder / "link")
    os.symlink(folder / "nowhere", folder / "broken.txt")
    os.mkfifo(folder / "pipe.txt")
    skipped = Counter()
    assert read(folder, skipped=skipped) == ["a.txt", "b/a.md", "b/z.txt", "c.txt"]
    assert skipped == {"file that is not UTF-8 text": 2, "file of another kind": 1, "not a regular file": 2}


def test_several_corpora_in_the_order_given(tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.txt").write_text(name)
    assert read([tmp_path / "b.txt", tmp_path / "a.txt"]) == ["b", "a"]


@pytest.mark.parametrize(("limit", "texts"), [(1, ["a"]), (3, ["ab", "é"[:0]]), (4, ["ab", "é"]), (99, ["ab", "éx"])])
def test_reading_stops_after_max_bytes(tmp_path, limit, texts):
    (tmp_path / "1.txt").write_text("ab")
    (tmp_path / "2.txt").write_text("éx", encoding="utf-8")
    assert read(tmp_path, max_bytes=limit) == [text for text in texts if text]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.csv", b"x", r"supported: \.txt, "),
        ("a.txt", b"a\0b", "not text: it holds NUL bytes"),
        ("a.txt", b"ok \xff", "not text: byte 3 is not UTF-8"),
        ("a.txt", "utf-16 text".encode("utf-16"), "not text"),
        ("a.txt", b"", "no text in"),
        ("a.jsonl", b'{"text": "a"}\n{"text": \n', "line 2: not JSON"),
        ("a.jsonl", b'{"a": 1, "b": 2}', "line 1: no key 'text'; there is: a, b"),
        ("a.jsonl", b"[1]", "line 1: not a JSON object"),
        ("a.jsonl", b'{"text": 5}', "line 1: 'text' is int, not a string"),
        ("a.jsonl", b'{"text": "\xff"}', "line 1 is not UTF-8"),
        ("a.jsonl", b"[" * 100_000, "line 1: not JSON"),
        ("a.jsonl.gz", b"not gzip", "damaged gzip"),
        ("a.jsonl.gz", gzip.compress(json.dumps({"text": "x" * 999}).encode(), mtime=0)[:-10], "damaged gzip"),
        ("a.parquet", b"not parquet", "not a readable Parquet file"),
    ],
)
def test_bad_files_are_refused_by_name(tmp_path, name, content, reason):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=reason) as caught:
        read(tmp_path / name)
    assert name in str(caught.value)


def test_bad_names_are_refused(tmp_path):
    with pytest.raises(InputError, match="no such file or folder"):
        read(tmp_path / "missing.txt")
    with pytest.raises(InputError, match="cannot be read together"):
        read("synthetic")
    os.mkfifo(tmp_path / "pipe.txt")
    with pytest.raises(InputError, match="neither a file nor a folder"):
        read(tmp_path / "pipe.txt")


def test_a_folder_without_text_says_what_was_there(tmp_path):
    (tmp_path / "photo.jpg").write_bytes(b"\xff")
    with pytest.raises(InputError, match=r"no text in .* \(left out: 1 × file of another kind\)"):
        read(tmp_path)

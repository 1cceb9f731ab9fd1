"""The standard library is a corpus of a useful size."""

from collections import Counter

from difflaw.data.stdlib_text import stdlib_documents


def test_megabytes_of_text_in_the_same_order_every_time():
    texts = list(stdlib_documents(Counter()))
    assert sum(len(text) for text in texts) > 8_000_000
    assert len(texts) > 300
    assert texts == list(stdlib_documents(Counter()))


def test_an_undecodable_module_is_counted(tmp_path, monkeypatch):
    (tmp_path / "good.py").write_text("x = 1\n")
    (tmp_path / "bad.py").write_bytes(b"x = '\xff'\n")
    (tmp_path / "latin.py").write_bytes(b"# -*- coding: latin-1 -*-\nx = '\xe9'\n")
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "left_out.py").write_text("x = 2\n")
    monkeypatch.setattr("sysconfig.get_paths", lambda: {"stdlib": str(tmp_path)})
    skipped = Counter()
    assert list(stdlib_documents(skipped)) == ["x = 1\n", "# -*- coding: latin-1 -*-\nx = 'é'\n"]
    assert skipped == {"undecodable module": 1}

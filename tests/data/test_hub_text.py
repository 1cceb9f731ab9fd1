"""Hub datasets, with a stand-in for the Hub."""

import sys
from types import SimpleNamespace

import huggingface_hub
import pytest

from difflaw.data.hub_text import HubDataset, find_hub_dataset, hub_documents, parse_hub_name
from difflaw.errors import InputError

SET = HubDataset("owner/set", None, "train", "abc")


@pytest.fixture
def hub(monkeypatch):
    """A Hub with one dataset of three rows; `files` are its files, `calls` what was asked of `datasets`."""
    hub = SimpleNamespace(files=["data.parquet"], calls=[], rows=[{"text": "one"}, {"text": None}, {"text": "two"}])

    def dataset_info(self, name):
        if name != "owner/set":
            raise RuntimeError("404 Client Error\nmore")
        return SimpleNamespace(sha="abc", siblings=[SimpleNamespace(rfilename=file) for file in hub.files])

    def load_dataset(*args, **options):
        hub.calls.append((args, options))
        return iter(hub.rows)

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", dataset_info)
    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    return hub


@pytest.mark.parametrize(
    ("corpus", "parts"),
    [
        ("hf:set", ("set", None, "train")),
        ("hf:owner/set", ("owner/set", None, "train")),
        ("hf:owner/set:en", ("owner/set", "en", "train")),
        ("hf:owner/set:en:test", ("owner/set", "en", "test")),
        ("hf:owner/set::test", ("owner/set", None, "test")),
    ],
)
def test_names(corpus, parts):
    assert parse_hub_name(corpus) == parts


@pytest.mark.parametrize("corpus", ["hf:", "hf:a/b/c", "hf:../x", "hf:a:b:c:d", "hf:/etc"])
def test_bad_names_are_refused(corpus):
    with pytest.raises(InputError, match="hf:DATASET"):
        parse_hub_name(corpus)


def test_streams_at_the_found_revision_without_remote_code(hub):
    dataset = find_hub_dataset("hf:owner/set:en:test")
    assert dataset.pin == "hf:owner/set:en:test@abc"
    assert list(hub_documents(dataset, "text")) == ["one", None, "two"]
    assert hub.calls == [(("owner/set", "en"), {"split": "test", "streaming": True, "revision": "abc"})]


def test_a_script_is_refused(hub):
    hub.files = ["set.py"]
    with pytest.raises(InputError, match="never run"):
        find_hub_dataset("hf:owner/set")


def test_unknown_dataset(hub):
    with pytest.raises(InputError, match=r"404 Client Error$"):
        find_hub_dataset("hf:owner/other")


def test_a_local_folder_of_that_name_is_refused(hub, tmp_path, monkeypatch):
    (tmp_path / "owner" / "set").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="would hide"):
        find_hub_dataset("hf:owner/set")


def test_missing_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(InputError, match="pip install"):
        find_hub_dataset("hf:owner/set")
    with pytest.raises(InputError, match="pip install"):
        list(hub_documents(SET, "text"))


def test_wrong_column(hub):
    with pytest.raises(InputError, match="no column 'body'; there is: text"):
        list(hub_documents(SET, "body"))
    hub.rows = [{"text": 3}]
    with pytest.raises(InputError, match="row 0: 'text' is not text"):
        list(hub_documents(SET, "text"))
